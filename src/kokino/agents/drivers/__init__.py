"""Drivers: one file for each CLI that Kokino speaks with."""
