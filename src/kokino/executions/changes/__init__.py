"""What an execution changed in its repository, and how it is undone."""
