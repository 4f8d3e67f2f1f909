"""Random events and random alert rules, for tests of what holds for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Connection

from kokino.alerts import received, received_store
from kokino.alerts.rehearse import START
from kokino.alerts.rule import AlertRule
from kokino.alerts.rulefile import packaged
from kokino.telemetry import store as telemetry
from kokino.telemetry.histogram import EXACT_EDGES
from kokino.telemetry.model import END_STATES, END_TYPES, Event, EventType, Running

MS = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
#: Long enough for every window of hours; the few of days are crossed by what is told at the end.
LENGTH_S = 9 * 3_600

AGENTS, CLIS = st.sampled_from(["a", "b"]), st.sampled_from(["claude-code", "gemini"])
LABELS = st.sampled_from([None, None, None, "probe", "drill"])
#: Often in the same second, or exactly a window apart.
SECONDS = st.one_of(
    st.integers(0, LENGTH_S),
    st.integers(0, 40),
    st.builds(
        lambda n, length, off: n * length + off,
        st.integers(0, 9),
        st.sampled_from([300, 600, 3_600]),
        st.integers(0, 1),
    ),
)
INSTANTS = st.builds(
    lambda seconds, ms: START + seconds * SECOND + ms * MS, SECONDS, st.sampled_from([0, 0, 0, 1, 999])
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event, and when the database heard of it."""

    event: Event
    at: datetime


#: Ends of executions that nobody saw start.
ENDS = st.builds(
    lambda state, at, agent, cli, label, ran_s, memory: Event(
        type=END_TYPES[state],
        at=at,
        agent_id=agent,
        cli_type=cli,
        label=label,
        duration_ms=None if ran_s is None else ran_s * 1_000,
        memory_mb=memory,
        memory_slo_mb=500,
    ),
    st.sampled_from(["completed", "completed", *sorted(END_TYPES)]),
    INSTANTS,
    AGENTS,
    CLIS,
    LABELS,
    st.none() | st.sampled_from([1, 30, 31, 60, 61, 300]),
    st.none() | st.sampled_from([100, 500, 501, 1_200, 4_000]),
)


def _run(starts: datetime, length_s: int | None, shape: Event) -> list[Event]:
    """An execution with its start, and its end where it has one."""
    start = Event(
        type=EventType.EXECUTION_STARTED,
        at=starts,
        agent_id=shape.agent_id,
        cli_type=shape.cli_type,
        label=shape.label,
    )
    if length_s is None:
        return [start]
    ends = starts + length_s * SECOND
    return [start, replace(shape, at=ends, duration_ms=length_s * 1_000)]


RUNS = st.builds(_run, INSTANTS, st.none() | st.sampled_from([0, 20, 60, 61, 400, 4_000]), ENDS)

_OTHERS = sorted(set(EventType) - set(END_STATES) - {EventType.EXECUTION_STARTED, EventType.ALERT_RECEIVED})
OTHERS = st.builds(
    lambda kind, at, agent, cli, label, data: [
        Event(type=kind, at=at, agent_id=agent, cli_type=cli, label=label, data=data)
    ],
    st.sampled_from(_OTHERS),
    INSTANTS,
    st.none() | AGENTS,
    st.none() | CLIS,
    LABELS,
    #: What an integrity check tells.
    st.sampled_from([None, {"conversations": 2, "faulty": 0}, {"conversations": 3, "faulty": 1}]),
)


def _received(at: datetime, severity: str, firing: bool) -> list[Event]:
    """A word of an Alertmanager."""
    said = received.Told(
        labels={"alertname": "DiskFull", "severity": severity},
        is_firing=firing,
        since=at,
        at=at,
        summary="the disk is full",
    )
    return [Event(type=EventType.ALERT_RECEIVED, at=at, data=said.to_data())]


RECEIVED = st.builds(
    _received, INSTANTS, st.sampled_from(["critical", "warning", "info", "none"]), firing=st.booleans()
)


def write(conn: Connection, *events: Event) -> None:
    """Tell the database, as whoever tells of such events does."""
    for event in events:
        telemetry.append(conn, event)
        if event.type == EventType.ALERT_RECEIVED and event.data is not None:
            received_store.save(conn, received.Told.from_data(event.data, event.at))


def _lateness(event: Event, seconds: int) -> timedelta:
    """What is dated by when it was heard is never late."""
    return timedelta() if event.type == EventType.ALERT_RECEIVED else seconds * SECOND


def _told(happened: list[tuple[list[Event], int]]) -> list[Told]:
    """In the order in which the database hears of them: some late, an execution's start before its end."""
    told = [
        Told(event=replace(event, execution_id=f"exec-{number}"), at=event.at + _lateness(event, late))
        for number, (events, late) in enumerate(happened)
        for event in events
    ]
    return sorted(told, key=lambda each: each.at)


SINGLE_ENDS = ENDS.map(lambda end: [end])
HAPPENED = st.one_of(SINGLE_ENDS, SINGLE_ENDS, RUNS, OTHERS, RECEIVED)
#: Whatever can be told, in whatever order.
STREAMS = st.lists(st.tuples(HAPPENED, st.sampled_from([0, 0, 0, 1, 90, 4_000])), max_size=30).map(_told)


def running(events: Sequence[Event], _conn: Connection) -> list[Running]:
    """The users' executions that have a start and no end, by definition."""
    ended = {event.execution_id for event in events if event.type in END_STATES}
    return [
        Running(started_at=event.at, agent_id=event.agent_id or "", cli_type=event.cli_type or "")
        for event in events
        if event.type == EventType.EXECUTION_STARTED
        and event.label is None
        and event.execution_id not in ended
    ]


# --- rules ------------------------------------------------------------------------------------------------

WINDOWS = st.sampled_from(["30s", "5m", "10m", "1h", "6h"])
HOLDS = st.sampled_from(["0s", "0s", "1s", "30s", "5m", "1h"])
TYPES = st.lists(st.sampled_from([*_OTHERS, *END_STATES]), min_size=1, max_size=3, unique=True)
EDGES = st.sampled_from([f"{edge // 1000}s" for edge in EXACT_EDGES if edge >= 1_000])


def _level(slo: str) -> st.SearchStrategy[dict[str, Any]]:
    within = {"within": EDGES} if slo == "latency" else {}
    alpha = {"alpha": st.sampled_from([0.0001, 0.001, 0.2])}
    return st.one_of(
        st.fixed_dictionaries(
            {
                "kind": st.just("rate"),
                "below": st.sampled_from([0.5, 0.9, 0.99]),
                "window": WINDOWS,
                **alpha,
                **within,
            },
            optional={"min_bad": st.integers(1, 3)},
        ),
        st.fixed_dictionaries(
            {"kind": st.just("budget"), "share": st.sampled_from([0.01, 0.1]), "window": WINDOWS, **alpha}
        ),
        st.fixed_dictionaries(
            {
                "kind": st.just("burn"),
                "rate": st.sampled_from([1, 6, 14.4]),
                "long": st.sampled_from(["1h", "6h"]),
                "short": st.sampled_from(["30s", "5m", "30m"]),
                **alpha,
            }
        ),
    )


_MEAN = st.fixed_dictionaries(
    {
        "kind": st.just("mean"),
        "of": st.just("memory_mb"),
        "above": st.sampled_from([400, 1_024]),
        "window": WINDOWS,
        "min_count": st.integers(1, 3),
    }
)
_OF_EVENTS = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("count"), "of": TYPES, "at_least": st.integers(1, 3), "window": WINDOWS}
    ),
    st.fixed_dictionaries({"kind": st.just("level"), "raised_by": TYPES, "lowered_by": TYPES}),
    st.fixed_dictionaries(
        {"kind": st.just("timer"), "started_by": TYPES, "ended_by": TYPES, "after": WINDOWS}
    ),
)
_QUIET = st.fixed_dictionaries({"kind": st.just("quiet"), "hold": HOLDS})
_LOWER = st.fixed_dictionaries(
    {
        "kind": st.just("mean"),
        "below": st.sampled_from([300, 900]),
        "window": WINDOWS,
        "min_count": st.integers(1, 2),
        "hold": HOLDS,
    }
)


def _recovered(slo: str) -> st.SearchStrategy[dict[str, Any]]:
    within = {"within": EDGES} if slo == "latency" else {}
    return st.fixed_dictionaries(
        {
            "kind": st.just("rate"),
            "at_least": st.sampled_from([0.5, 0.95, 0.99]),
            "window": WINDOWS,
            "min_successes": st.integers(1, 3),
            "hold": HOLDS,
            **within,
        }
    )


@st.composite
def generated_rules(draw: st.DrawFn) -> AlertRule:
    """A rule that its file's checks let through."""
    slo = draw(st.sampled_from([None, "availability", "latency", "correctness", "integrity", "resources"]))
    if slo is None:
        conditions, resolve, by = _OF_EVENTS, _QUIET, [[], ["agent"], ["cli_type"], ["agent", "cli_type"]]
    else:
        conditions = st.one_of(_level(slo), _MEAN) if slo == "resources" else _level(slo)
        resolve = st.one_of(_recovered(slo), _QUIET, *([_LOWER] if slo == "resources" else []))
        by = [[], ["agent"], ["cli_type"]] if slo in {"availability", "latency", "resources"} else [[]]
    found = draw(st.lists(conditions, min_size=1, max_size=3))
    return AlertRule.model_validate(
        {
            "apiVersion": "kokino/v1",
            "kind": "AlertRule",
            "id": "generated",
            "title": "Generated",
            "severity": "P2",
            "owner": "@nobody",
            "slo": slo,
            "by": draw(st.sampled_from(by)),
            "gate": draw(st.sampled_from(["none", {"kind": "binomial", "p": 0.005}])) if slo else "none",
            "conditions": [{"id": f"c{number}", **one} for number, one in enumerate(found)],
            "pending_for": draw(HOLDS),
            "resolve": draw(resolve),
            "no_data": draw(st.sampled_from(["freeze", "alert", "ok"])),
        }
    )


RULES = st.one_of(st.sampled_from(packaged()), generated_rules())
