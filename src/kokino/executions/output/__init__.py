"""What CLIs write: the files it goes through, the records it becomes, and the copy for people."""
