"""How a prompt waits for its agent: accepted, queued, refused or started, and what it may spend."""
