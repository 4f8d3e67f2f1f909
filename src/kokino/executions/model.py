"""An execution, its states and its records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from kokino.agents.drivers.contract import PermissionRequest
from kokino.agents.failures import FailureKind
from kokino.clock import iso
from kokino.storage.text import storable


class State(StrEnum):
    """Where an execution is. Only `TRANSITIONS` says how it gets there."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    LOST = "lost"

    @property
    def is_end(self) -> bool:
        """True for the six states that nothing leaves."""
        return self not in {State.QUEUED, State.RUNNING}


#: What may follow what. Anything else is a bug and raises where it is tried.
TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLED, State.REFUSED}),
    State.RUNNING: frozenset(
        # Back to the queue goes only what no process was ever started for.
        {State.COMPLETED, State.FAILED, State.TIMEOUT, State.CANCELLED, State.LOST, State.QUEUED}
    ),
}

#: Bytes of a mebibyte, in which limits are given.
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A CLI waits for a person."""

    request: PermissionRequest
    since: datetime

    def to_document(self) -> dict[str, Any]:
        """As it is stored, and as the API shows it."""
        options = [
            {"id": storable(one.id), "name": storable(one.name), "kind": one.kind}
            for one in self.request.options
        ]
        return {
            "id": storable(self.request.id),
            "title": storable(self.request.title),
            "options": options,
            "since": iso(self.since),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One prompt run by one agent."""

    execution_id: str
    #: Order of acceptance over all agents.
    number: int
    agent_id: str
    #: What it runs on; another than the agent's own where a fallback moved it.
    cli_type: str
    account: str
    mode: str
    pool: str
    state: State
    kind: FailureKind | None = None
    #: One line for a person.
    error: str | None = None
    #: None for users' work; labelled executions never count for users' SLOs.
    label: str | None = None
    moved_from: str | None = None
    prompt: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    conversation_id: str | None = None
    session_id: str | None = None
    #: The driver that speaks with it, whatever the configuration says later.
    driver: str | None = None
    is_resume: bool | None = None
    timeout: timedelta
    queue_timeout: timedelta
    queued_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    lock_token: int | None = None
    pid: int | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    content: str | None = None
    usage: Mapping[str, int] | None = None
    cost_usd: float | None = None
    cli_version: str | None = None
    #: How often a process was started for it.
    attempts: int = 0
    #: How often its session was replaced by a new one, and how often it was tried again after a failure.
    replaced: int = 0
    retried: int = 0
    #: The most memory that its process tree took at one time.
    peak_memory_bytes: int | None = None
    #: Processor time of its process tree.
    cpu_ms: int | None = None
    #: What it changed in the git repository that it ran in; while it runs, only what was there before.
    changes: Mapping[str, Any] | None = None
    #: What it waits for while it runs, as `Waiting.to_document` has it; None while it waits for nobody.
    waiting: Mapping[str, Any] | None = None

    @property
    def duration(self) -> timedelta | None:
        """From start to end; from acceptance to end where it never started; None before its end."""
        if self.ended_at is None:
            return None
        return self.ended_at - (self.started_at or self.queued_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is known when an execution is over."""

    state: State
    kind: FailureKind | None = None
    error: str | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    content: str | None = None
    usage: Mapping[str, int] | None = None
    cost_usd: float | None = None
    cli_version: str | None = None
    peak_memory_bytes: int | None = None
    #: What its CLI type should stay under.
    memory_slo_mb: int | None = None
    cpu_ms: int | None = None
    changes: Mapping[str, Any] | None = None
    #: Usage and cost count from the session's first turn on.
    counts_session: bool = False
    #: The cost alone does.
    counts_session_cost: bool = False
    #: Why the CLI worked in a new session instead of the one that it was asked to go on with.
    began_anew: str | None = None
    #: When the account's quota is full again, where a record told it.
    resets_at: datetime | None = None
    #: The prompt has been put into a terminal, or may have been: what a CLI made of it may be done.
    was_typed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line that a CLI wrote."""

    #: From 1, per execution.
    number: int
    #: ``stdout`` or ``stderr``.
    stream: str
    #: The line as text; bytes that are no UTF-8 are shown as replacement characters.
    body: str
    #: Length of the line in bytes before it was cut to what is kept.
    size: int
    written_at: datetime
    #: Which of the execution's processes wrote it, from 1.
    attempt: int = 1
    #: Where in that process's stream the line begins, in bytes; None for the half of a line
    #: that is nowhere any more: behind it the file was emptied, and the next line begins at 0.
    begins_at: int | None = None
