"""A whole broker in a box, beside pretend services: break something, see what comes of it, report."""
