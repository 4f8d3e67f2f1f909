"""Playbooks: the document that a person follows and the broker runs; patterns, bindings, verification."""
