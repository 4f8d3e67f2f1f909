"""Conversations: what was said to an agent and what it answered, in order, as a person reads it."""
