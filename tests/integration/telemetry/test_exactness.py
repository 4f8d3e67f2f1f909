"""Sums over any window equal a count of the raw events, whatever came in whatever order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kokino.telemetry import latest_store, rollup_store, store, window_store
from kokino.telemetry.histogram import EXACT_EDGES
from kokino.telemetry.latest_store import Latest
from kokino.telemetry.model import (
    END_STATES,
    END_TYPES,
    JUDGED,
    Counts,
    Event,
    EventType,
    Memory,
    Owner,
    Scope,
    Totals,
    totals_of,
)
from tests.empty_database import empty_database

MS = timedelta(milliseconds=1)
DAY_MS = 86_400_000
#: Shortly before the clocks of Berlin go forward, and back. Sums are of UTC and must not care.
BERLIN = ZoneInfo("Europe/Berlin")
BEGINNINGS = (
    datetime(2026, 3, 27, 0, 0, tzinfo=BERLIN).astimezone(UTC),
    datetime(2026, 3, 28, 0, 0, tzinfo=UTC),
    datetime(2026, 10, 23, 0, 0, tzinfo=BERLIN).astimezone(UTC),
    datetime(2026, 10, 24, 0, 0, tzinfo=UTC),
)

#: Instants crowd around the edges of minutes, hours and days, of both, where a mistake would show.
OFFSETS_MS = st.one_of(
    st.integers(0, 4 * DAY_MS),
    st.builds(
        lambda number, length, off: max(0, number * length + off),
        st.integers(0, 96),
        st.sampled_from([60_000, 3_600_000, DAY_MS]),
        st.integers(-2, 2),
    ),
)
OWNERS = (
    Owner(),
    Owner(Scope.CLI, "gemini"),
    Owner(Scope.AGENT, "a"),
    Owner(Scope.AGENT, "nobody"),
    Owner(Scope.SHADOW),
)
AGENTS, CLIS = st.sampled_from(["a", "b"]), st.sampled_from(["claude-code", "gemini"])
LABELS = st.sampled_from([None, None, None, "probe", "drill"])


def ends(begin: datetime) -> st.SearchStrategy[Event]:
    """Ends of executions."""
    return st.builds(
        lambda state, ms, agent, cli, label, kind, ran_ms, memory: Event(
            type=END_TYPES[state],
            at=begin + ms * MS,
            agent_id=agent,
            cli_type=cli,
            label=label,
            kind=kind,
            duration_ms=ran_ms,
            memory_mb=memory,
            memory_slo_mb=500,
        ),
        st.sampled_from(sorted(END_TYPES)),
        OFFSETS_MS,
        AGENTS,
        CLIS,
        LABELS,
        st.sampled_from([None, "auth", "crash"]),
        st.none() | st.integers(0, 200_000) | st.sampled_from(EXACT_EDGES),
        st.none() | st.sampled_from([1, 500, 501, 2_000]),
    )


def others(begin: datetime) -> st.SearchStrategy[Event]:
    """Everything else that is told, of somebody or of nobody."""
    return st.builds(
        lambda kind, ms, agent, cli, label, data: Event(
            type=kind, at=begin + ms * MS, agent_id=agent, cli_type=cli, label=label, data=data
        ),
        st.sampled_from(sorted(set(EventType) - set(END_STATES))),
        OFFSETS_MS,
        st.none() | AGENTS,
        st.none() | CLIS,
        LABELS,
        st.sampled_from([None, {"conversations": 5, "faulty": 2}]),
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Event], list[tuple[datetime, datetime]]]:
    """Events in the order in which they are told, which is any, and windows to ask for."""
    begin = draw(st.sampled_from(BEGINNINGS))
    events = draw(st.lists(st.one_of(ends(begin), others(begin)), max_size=25))
    windows = draw(st.lists(st.tuples(OFFSETS_MS, OFFSETS_MS).map(sorted), min_size=1, max_size=4))
    return events, [(begin + since * MS, begin + until * MS) for since, until in windows]


def of(owner: Owner, events: Sequence[Event], since: datetime, until: datetime) -> Iterator[Event]:
    """Those that count for somebody, by definition."""
    for event in events:
        if event.label is not None or not since <= event.at < until:
            continue
        if owner.scope in JUDGED:
            is_meant = event.type in JUDGED[owner.scope]
        else:
            owned_by = {Scope.ALL: "", Scope.CLI: event.cli_type, Scope.AGENT: event.agent_id}[owner.scope]
            is_meant = event.type in END_STATES and owned_by == owner.id
        if is_meant:
            yield event


def summed(owner: Owner, events: Sequence[Event], since: datetime, until: datetime) -> Totals:
    """Look at every event."""
    return sum((totals_of(event) for event in of(owner, events, since, until)), Totals())


@settings(max_examples=60)
@given(histories())
def test_sums_over_any_window_equal_a_count_of_the_events(
    history: tuple[list[Event], list[tuple[datetime, datetime]]],
) -> None:
    """Late and out of order, at any edge, for every scope: to the last execution and millisecond."""
    events, windows = history
    with empty_database() as conn:
        for event in events:
            store.append(conn, event)
        for since, until in windows:
            for owner in (*OWNERS, Owner(Scope.CHECKS)):
                expected = summed(owner, events, since, until)
                assert rollup_store.totals(conn, since, until, owner.scope, owner.id) == expected
            for owner in OWNERS:
                expected = summed(owner, events, since, until)
                assert window_store.counts(conn, since, until, owner) == expected.counts
                assert window_store.memory(conn, since, until, owner) == expected.memory


@settings(max_examples=60)
@given(histories(), st.sampled_from(EXACT_EDGES))
def test_so_many_were_quick_enough(
    history: tuple[list[Event], list[tuple[datetime, datetime]]], limit_ms: int
) -> None:
    """At every length that is counted exactly, of good and bad ones that ran."""
    events, windows = history
    with empty_database() as conn:
        for event in events:
            store.append(conn, event)
        for since, until in windows:
            for owner in OWNERS[:4]:
                ran = [
                    event.duration_ms
                    for event in of(owner, events, since, until)
                    if (event.is_good or event.is_bad) and event.duration_ms is not None
                ]
                quick = sum(ms <= limit_ms for ms in ran)
                expected = Counts(good=quick, bad=len(ran) - quick)
                assert window_store.within(conn, since, until, limit_ms, owner) == expected


TYPES = st.lists(st.sampled_from(sorted(EventType)), min_size=1, max_size=4, unique=True)


@settings(max_examples=60)
@given(histories(), TYPES, st.none() | AGENTS, st.none() | CLIS)
def test_events_of_some_types_are_counted_and_found(
    history: tuple[list[Event], list[tuple[datetime, datetime]]],
    types: list[str],
    agent_id: str | None,
    cli_type: str | None,
) -> None:
    """How many, the first of them, and those of probes; of an agent, of a CLI type, of both or of all."""
    events, windows = history
    names = {"agent_id": agent_id, "cli_type": cli_type}
    theirs = [
        event for event in events if agent_id in {None, event.agent_id} and cli_type in {None, event.cli_type}
    ]
    with empty_database() as conn:
        for event in events:
            store.append(conn, event)
        for since, until in windows:
            for label in (None, "probe"):
                at = [e.at for e in theirs if e.type in types and e.label == label and since <= e.at < until]
                found = window_store.first_at(conn, since, until, types, label=label, **names)
                assert found == min(at, default=None)
                if label is None:
                    assert window_store.how_many(conn, since, until, types, **names) == len(at)
            probes = [event for event in theirs if event.label == "probe" and since <= event.at < until]
            assert window_store.labelled(conn, since, until, "probe", **names) == Counts(
                good=sum(event.is_good for event in probes), bad=sum(event.is_bad for event in probes)
            )


@settings(max_examples=60)
@given(histories(), TYPES)
def test_the_last_event_of_each_type_is_known(
    history: tuple[list[Event], list[tuple[datetime, datetime]]], types: list[str]
) -> None:
    """Of each agent and CLI type; of two at one instant the later told, and no labelled one."""
    events, _ = history
    expected: dict[tuple[str, str, str], Latest] = {}
    with empty_database() as conn:
        for event in events:
            number = store.append(conn, event)
            key = (event.type, event.agent_id or "", event.cli_type or "")
            before = expected.get(key)
            if event.label is None and (before is None or event.at >= before.at):
                expected[key] = Latest(
                    at=event.at, event_id=number, type=key[0], agent_id=key[1], cli_type=key[2]
                )
        asked = [latest for latest in expected.values() if latest.type in types]
        assert sorted(latest_store.of_types(conn, types)) == sorted(asked)


def test_memory_is_what_it_says() -> None:
    """The brute force above sums with the product's own words; these figures are by hand."""
    at = BEGINNINGS[0]
    peaks = [(400, 500), (500, 500), (501, 500), (None, 500), (900, None)]
    with empty_database() as conn:
        for memory_mb, memory_slo_mb in peaks:
            store.append(
                conn,
                Event(
                    type=EventType.EXECUTION_COMPLETED,
                    at=at,
                    agent_id="a",
                    cli_type="gemini",
                    memory_mb=memory_mb,
                    memory_slo_mb=memory_slo_mb,
                ),
            )
        assert window_store.memory(conn, at, at + MS) == Memory(within=2, over=1, sum_mb=1_401)
        assert window_store.memory(conn, at - MS, at) == Memory()


@pytest.mark.parametrize("begin", BEGINNINGS)
def test_the_histories_cross_a_change_of_the_clocks(begin: datetime) -> None:
    """Else they would prove nothing of it."""
    offsets = {(begin + timedelta(hours=hours)).astimezone(BERLIN).utcoffset() for hours in range(96)}
    assert offsets == {timedelta(hours=1), timedelta(hours=2)}
