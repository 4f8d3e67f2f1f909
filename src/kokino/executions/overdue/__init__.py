"""Decides when something should have happened by now: agents that are stuck, locks held too long."""
