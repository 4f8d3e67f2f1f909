"""When something should have happened by now: deadlines, agents that are stuck, locks held too long."""
