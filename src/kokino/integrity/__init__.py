"""Integrity: is what was written down still whole? Checks, cleanup, backups."""
