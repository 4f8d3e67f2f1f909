"""Kokino runs AI coding-agent CLIs as a production service."""

__version__ = "0.1.0"
