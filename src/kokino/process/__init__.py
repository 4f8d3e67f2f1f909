"""Processes: the warden that owns every child, and the client that speaks to it."""
