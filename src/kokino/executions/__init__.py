"""Executions: one prompt run by one agent, from the queue to exactly one end."""
