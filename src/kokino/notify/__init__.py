"""Notify: the durable outbox and the channels that carry what it holds to people."""
