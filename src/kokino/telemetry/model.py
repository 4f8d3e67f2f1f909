"""What an event is, and which events decide about availability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from kokino.telemetry.histogram import Histogram


class EventType(StrEnum):
    """The word that an event is found by. Other nouns add theirs here, so that all are in one list."""

    EXECUTION_STARTED = "EXECUTION_STARTED"
    EXECUTION_COMPLETED = "EXECUTION_COMPLETED"
    EXECUTION_FAILED = "EXECUTION_FAILED"
    EXECUTION_TIMEOUT = "EXECUTION_TIMEOUT"
    EXECUTION_CANCELLED = "EXECUTION_CANCELLED"
    EXECUTION_REFUSED = "EXECUTION_REFUSED"
    EXECUTION_LOST = "EXECUTION_LOST"
    #: A lock held too long, or a waiter that gave up.
    LOCK_TIMEOUT = "LOCK_TIMEOUT"
    FALLBACK_ENABLED = "FALLBACK_ENABLED"
    FALLBACK_DISABLED = "FALLBACK_DISABLED"
    ACCOUNT_PAUSED = "ACCOUNT_PAUSED"
    ACCOUNT_RESUMED = "ACCOUNT_RESUMED"
    #: Failures in a row stopped an agent; one try goes through after a while; it works again.
    CIRCUIT_OPENED = "CIRCUIT_OPENED"
    CIRCUIT_HALF_OPENED = "CIRCUIT_HALF_OPENED"
    CIRCUIT_CLOSED = "CIRCUIT_CLOSED"
    #: The CLI did not know its session any more, and was given a new one.
    SESSION_REPLACED = "SESSION_REPLACED"
    #: It failed in a way for which another try is configured.
    EXECUTION_RETRIED = "EXECUTION_RETRIED"
    #: It is silent, waits for a tool, or does the same again and again.
    EXECUTION_STUCK = "EXECUTION_STUCK"
    #: Its CLI asked for a permission that a person has to give.
    EXECUTION_WAITING = "EXECUTION_WAITING"


#: The end state that each type tells of. An execution has exactly one such event.
END_STATES: Mapping[str, str] = {
    EventType.EXECUTION_COMPLETED: "completed",
    EventType.EXECUTION_FAILED: "failed",
    EventType.EXECUTION_TIMEOUT: "timeout",
    EventType.EXECUTION_CANCELLED: "cancelled",
    EventType.EXECUTION_REFUSED: "refused",
    EventType.EXECUTION_LOST: "lost",
}
#: The event type for each end state, for those who know the state.
END_TYPES: Mapping[str, EventType] = {state: EventType(word) for word, state in END_STATES.items()}

#: Label of an execution that asks whether a disabled CLI type works again.
PROBE = "probe"
#: Which end states count for and against availability; cancelled is neither.
GOOD = frozenset({"completed"})
BAD = frozenset({"failed", "timeout", "refused", "lost"})
#: The bad ones that ran. One that was refused tells nothing of a CLI type or an agent: it never reached them.
RAN_BADLY = BAD - {"refused"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One durable fact, appended in the transaction of what it tells of."""

    #: An `EventType`; foreign words are kept as they are.
    type: str
    #: When it happened, which may be before it was written down.
    at: datetime
    #: The agent concerned; an execution's end always has one.
    agent_id: str | None = None
    #: The CLI type that it ran on, after any fallback; an execution's end always has one.
    cli_type: str | None = None
    #: Login and quota that it used.
    account: str | None = None
    #: The execution it tells of.
    execution_id: str | None = None
    #: None for users' work, else ``probe`` or ``drill``: those never count for users' SLOs.
    label: str | None = None
    #: How the execution ended; follows from the type, so it may be left out.
    state: str | None = None
    #: Why it failed, one word (`FailureKind`).
    kind: str | None = None
    #: How long the execution ran; None where it never did.
    duration_ms: int | None = None
    #: What the CLI or the broker said, for people.
    message: str | None = None
    #: Whatever else belongs to this type of event.
    data: Mapping[str, Any] | None = None
    #: Its number in the database; None until it is appended.
    event_id: int | None = None

    def __post_init__(self) -> None:
        state = END_STATES.get(self.type)
        if state is None:
            return
        if self.state not in {None, state}:
            raise ValueError(f"{self.type} tells of the state {state!r}, not {self.state!r}")
        if self.agent_id is None or self.cli_type is None:
            raise ValueError(f"{self.type} needs the agent and the CLI type that it ran on")
        object.__setattr__(self, "state", state)

    @classmethod
    def from_row(cls, row: Row[Any]) -> Event:
        """The event that a row of the table holds."""
        return cls(**{name: getattr(row, name) for name in cls.__slots__})

    @property
    def is_counted(self) -> bool:
        """True for the end of a user's execution: only these are summed."""
        return self.label is None and self.type in END_STATES

    @property
    def is_good(self) -> bool:
        """True where it counts for availability."""
        return self.state in GOOD

    @property
    def is_bad(self) -> bool:
        """True where it counts against availability."""
        return self.state in BAD


class Scope(StrEnum):
    """What a sum is over."""

    ALL = "all"
    CLI = "cli"
    AGENT = "agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Good and bad executions of a window; the valid ones are both together."""

    #: Completed.
    good: int = 0
    #: Failed, timed out, refused or lost.
    bad: int = 0

    @property
    def total(self) -> int:
        """Valid executions: cancelled ones are not among them."""
        return self.good + self.bad

    @property
    def ratio(self) -> float | None:
        """Good over valid, 0 to 1; None without any."""
        return self.good / self.total if self.total else None

    def __add__(self, other: Counts) -> Counts:
        return Counts(good=self.good + other.good, bad=self.bad + other.bad)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Everything that is summed over a window, or in one rollup bucket."""

    good: int = 0
    bad: int = 0
    #: Ends by state, cancelled ones too.
    states: Mapping[str, int] = field(default_factory=dict)
    #: Bad ones by kind.
    kinds: Mapping[str, int] = field(default_factory=dict)
    #: Durations of the good and bad ones that ran.
    durations: Histogram = field(default_factory=Histogram)
    #: Sum of these durations.
    duration_sum: timedelta = timedelta(0)

    @property
    def counts(self) -> Counts:
        """Good and bad alone."""
        return Counts(good=self.good, bad=self.bad)

    @property
    def total(self) -> int:
        """Valid executions."""
        return self.good + self.bad

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            good=self.good + other.good,
            bad=self.bad + other.bad,
            states=added(self.states, other.states),
            kinds=added(self.kinds, other.kinds),
            durations=self.durations + other.durations,
            duration_sum=self.duration_sum + other.duration_sum,
        )


def added(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    """Both counts together, key by key."""
    return {key: first.get(key, 0) + second.get(key, 0) for key in sorted({*first, *second})}


def totals_of(event: Event) -> Totals:
    """What one counted event adds to every bucket that it falls in."""
    ran = event.duration_ms if event.is_good or event.is_bad else None
    return Totals(
        good=int(event.is_good),
        bad=int(event.is_bad),
        states={END_STATES[event.type]: 1},
        kinds={event.kind or "unknown": 1} if event.is_bad else {},
        durations=Histogram.of([] if ran is None else [ran]),
        duration_sum=timedelta(milliseconds=ran or 0),
    )
