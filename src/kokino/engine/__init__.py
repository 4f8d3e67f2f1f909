"""The engine: a list of named modules, run in a cycle and woken at once by what they wait for."""
