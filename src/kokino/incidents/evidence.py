"""What an incident is told of the playbook runs for it; whoever runs playbooks answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from sqlalchemy import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One step that was run."""

    run_id: str
    playbook_id: str
    step_id: str
    #: Section of the playbook: ``investigate``, ``mitigate``, ``verify``.
    section: str
    #: The commands, as they stand in the playbook.
    block: str
    #: running, passed, failed, timeout, skipped or uncertain.
    state: str
    #: None while it runs, and when no process ended.
    exit_code: int | None
    #: Standard output, then what it wrote to standard error; redacted and capped by the runner.
    output: str
    errors: str
    started_at: datetime
    ended_at: datetime | None


class Repair(StrEnum):
    """How far the broker's own repair of an incident is."""

    #: None goes on.
    NONE = "none"
    #: What was done has yet to be verified.
    REPAIRING = "repairing"
    #: Verified; what was switched over for it has yet to be taken back.
    RESTORING = "restoring"


class PlaybookFacts(Protocol):
    """Answers in the caller's transaction."""

    def evidence(self, conn: Connection, number: int, /) -> Sequence[Evidence]:
        """Every step that ran for an incident, in the order in which they started."""
        ...

    def repair(self, conn: Connection, number: int, /) -> Repair:
        """How far the repair of an incident is."""
        ...
