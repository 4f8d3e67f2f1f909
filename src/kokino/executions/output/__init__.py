"""What CLIs write: followed through files, read, recorded, and copied for people."""
