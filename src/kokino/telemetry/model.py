"""What an event is, and which events are summed up to what."""

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
    #: An agent is no more: what was told of it is over.
    AGENT_REMOVED = "AGENT_REMOVED"
    #: Both ways of running a prompt came to the same, or did not; or one got much slower.
    SHADOW_SUCCESS = "SHADOW_SUCCESS"
    SHADOW_MISMATCH = "SHADOW_MISMATCH"
    SHADOW_LATENCY_REGRESSION = "SHADOW_LATENCY_REGRESSION"
    #: Somebody switched shadow mode off for all agents, or on again.
    SHADOW_DISABLED = "SHADOW_DISABLED"
    SHADOW_ENABLED = "SHADOW_ENABLED"
    #: A conversation has a fault; a turn belongs to none.
    CONVERSATION_INTEGRITY_FAIL = "CONVERSATION_INTEGRITY_FAIL"
    ORPHAN_DETECTED = "ORPHAN_DETECTED"
    #: An integrity check came to its end, with `data` of ``{"conversations", "faulty"}``.
    INTEGRITY_CHECK_PASSED = "INTEGRITY_CHECK_PASSED"
    INTEGRITY_CHECK_FAILED = "INTEGRITY_CHECK_FAILED"
    #: A cleanup put rows right, with `data` of ``{"deleted", "renumbered", "backup", "by"}``.
    INTEGRITY_CLEANUP = "INTEGRITY_CLEANUP"
    #: A person took foreign turns as they are, or deleted them: ``{"count", "turns", "by", "reason"}``.
    INTEGRITY_ACCEPTED = "INTEGRITY_ACCEPTED"
    INTEGRITY_REMOVED = "INTEGRITY_REMOVED"
    #: The doctor looked at a CLI type: one check, and what all of them together mean.
    ENV_CHECK_PASSED = "ENV_CHECK_PASSED"
    ENV_CHECK_FAILED = "ENV_CHECK_FAILED"
    ENV_DEGRADED = "ENV_DEGRADED"
    ENV_RESTORED = "ENV_RESTORED"
    #: An Alertmanager told that an alert of its own fires, or is over (`alerts.received.Told`).
    ALERT_RECEIVED = "ALERT_RECEIVED"


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
#: Label of an execution that runs a user's prompt once more, to compare.
SHADOW = "shadow"
#: Labels of what nobody asked for but the broker.
OWN_LABELS = frozenset({PROBE, SHADOW})
#: Which end states count for and against availability; cancelled is neither.
GOOD = frozenset({"completed"})
BAD = frozenset({"failed", "timeout", "refused", "lost"})
#: The events that tell of them.
GOOD_ENDS = frozenset(END_TYPES[state] for state in GOOD)
BAD_ENDS = frozenset(END_TYPES[state] for state in BAD)
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
    #: None for users' work, else ``probe``, ``shadow`` or ``drill``: those never count for users' SLOs.
    label: str | None = None
    #: How the execution ended; follows from the type, so it may be left out.
    state: str | None = None
    #: Why it failed, one word (`FailureKind`).
    kind: str | None = None
    #: How long the execution ran; None where it never did.
    duration_ms: int | None = None
    #: The most memory that its process tree took at one time, in MiB; None where it never ran.
    memory_mb: int | None = None
    #: What its CLI type should stay under, in MiB.
    memory_slo_mb: int | None = None
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
        """True for the end of a user's execution: only these count for the users' service levels."""
        return self.label is None and self.type in END_STATES

    @property
    def scopes(self) -> Mapping[Scope, str]:
        """The sums that it belongs to, and the id in each."""
        if self.is_counted:
            return {Scope.ALL: "", Scope.CLI: self.cli_type or "", Scope.AGENT: self.agent_id or ""}
        if self.label is not None:
            return {}
        return {scope: "" for scope, types in JUDGED.items() if self.type in types}

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

    #: Users' executions: all, those on one CLI type, those of one agent.
    ALL = "all"
    CLI = "cli"
    AGENT = "agent"
    #: Comparisons of shadow mode.
    SHADOW = "shadow"
    #: Conversations that integrity checks have looked at.
    CHECKS = "checks"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose sums are meant."""

    scope: Scope = Scope.ALL
    #: The CLI type or agent; the other scopes have none.
    id: str = ""


EVERYBODY = Owner()

#: The events that are summed beside executions.
JUDGED: Mapping[Scope, frozenset[str]] = {
    Scope.SHADOW: frozenset({EventType.SHADOW_SUCCESS, EventType.SHADOW_MISMATCH}),
    Scope.CHECKS: frozenset({EventType.INTEGRITY_CHECK_PASSED, EventType.INTEGRITY_CHECK_FAILED}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One of the users' executions that still runs: it has no end yet, and may count all the same."""

    started_at: datetime
    agent_id: str
    cli_type: str


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
class Memory:
    """What process trees took at most, of a window's executions that ran."""

    #: Those that stayed within what their CLI type should, and those that did not.
    within: int = 0
    over: int = 0
    #: Sum of all peaks, in MiB.
    sum_mb: int = 0

    @property
    def count(self) -> int:
        """How many peaks there are."""
        return self.within + self.over

    @property
    def mean_mb(self) -> float | None:
        """Their mean; None without any."""
        return self.sum_mb / self.count if self.count else None

    def __add__(self, other: Memory) -> Memory:
        return Memory(
            within=self.within + other.within, over=self.over + other.over, sum_mb=self.sum_mb + other.sum_mb
        )


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
    #: Peaks of those whose process tree was measured.
    memory: Memory = field(default_factory=Memory)

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
            memory=self.memory + other.memory,
        )


def added(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    """Both counts together, key by key."""
    return {key: first.get(key, 0) + second.get(key, 0) for key in sorted({*first, *second})}


def totals_of(event: Event) -> Totals:
    """What one event adds to every bucket that it falls in."""
    if event.type in JUDGED[Scope.SHADOW]:
        is_match = event.type == EventType.SHADOW_SUCCESS
        return Totals(good=int(is_match), bad=int(not is_match))
    if event.type in JUDGED[Scope.CHECKS]:
        return _checked(event.data or {})
    ran = event.duration_ms if event.is_good or event.is_bad else None
    return Totals(
        good=int(event.is_good),
        bad=int(event.is_bad),
        states={END_STATES[event.type]: 1},
        kinds={event.kind or "unknown": 1} if event.is_bad else {},
        durations=Histogram.of([] if ran is None else [ran]),
        duration_sum=timedelta(milliseconds=ran or 0),
        memory=_memory(event),
    )


def _checked(data: Mapping[str, Any]) -> Totals:
    """An integrity check counts every conversation that it looked at."""
    faulty = int(data.get("faulty", 0))
    return Totals(good=max(0, int(data.get("conversations", 0)) - faulty), bad=faulty)


def _memory(event: Event) -> Memory:
    if event.memory_mb is None or event.memory_slo_mb is None:
        return Memory()
    is_within = event.memory_mb <= event.memory_slo_mb
    return Memory(within=int(is_within), over=int(not is_within), sum_mb=event.memory_mb)
