"""Agents: what is configured, their sessions and locks, how they are moved and paused."""
