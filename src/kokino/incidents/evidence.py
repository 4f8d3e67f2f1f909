"""What the playbook's steps did, as an incident shows it. Their rows are the runner's, here they are read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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
