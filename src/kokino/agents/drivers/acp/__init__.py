"""The Agent Client Protocol, spoken with an agent of any make."""
