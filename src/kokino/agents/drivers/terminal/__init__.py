"""The CLIs as a person works them: in a terminal; see `kokino.agents.drivers.contract.Interactive`."""
