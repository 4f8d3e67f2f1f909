"""Shadow mode: run a prompt both ways, compare what came of it, and say whether headless can be trusted."""
