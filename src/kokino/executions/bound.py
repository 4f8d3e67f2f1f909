"""Executions that end with their broker: whoever speaks with their CLI, or types at it, sits there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tie(StrEnum):
    """What binds an execution to its broker."""

    #: It is typed at in a terminal.
    TMUX = "tmux"
    #: It is spoken with, by the Agent Client Protocol.
    DIALOGUE = "dialogue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One that no other broker can go on with: a restart would end it, as ``lost``."""

    execution_id: str
    agent_id: str
    by: Tie
