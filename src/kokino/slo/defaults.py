"""The objectives that hold when no file says otherwise."""

from __future__ import annotations

from functools import cache

from kokino.errors import ConfigInvalid, Fault
from kokino.slo.model import Objectives
from kokino.slo.openslo import load_objectives


@cache
def defaults() -> Objectives:
    """What is promised for each service level. Raises `ConfigInvalid` when a shipped file has faults."""
    faults: list[Fault] = []
    found = load_objectives(None, faults)
    if found is None:
        raise ConfigInvalid(faults)
    return found
