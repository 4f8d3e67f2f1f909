"""Executions whose CLI is worked in a terminal, as a person would."""
