"""Escalation: who hears of an alert, after how long, and what an acknowledgement changes about that."""
