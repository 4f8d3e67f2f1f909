"""Sums over any window equal a count of the raw events, whatever came in whatever order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine

from kokino.storage.schema import metadata
from kokino.telemetry import rollup_store, store, window_store
from kokino.telemetry.model import END_TYPES, Event, Scope, Totals, totals_of

T = datetime(2026, 1, 5, 0, 0, tzinfo=UTC)
MS = timedelta(milliseconds=1)
DAY_MS = 86_400_000

#: Instants crowd around the edges of minutes, hours and days, where a mistake would show.
INSTANTS = st.one_of(
    st.integers(0, 3 * DAY_MS),
    st.builds(
        lambda number, length, off: max(0, number * length + off),
        st.integers(0, 72),
        st.sampled_from([60_000, 3_600_000, DAY_MS]),
        st.integers(-2, 2),
    ),
).map(lambda ms: T + ms * MS)

EVENTS = st.builds(
    lambda state, at, agent, cli, label, kind, ms: Event(
        type=END_TYPES[state], at=at, agent_id=agent, cli_type=cli, label=label, kind=kind, duration_ms=ms
    ),
    st.sampled_from(sorted(END_TYPES)),
    INSTANTS,
    st.sampled_from(["a", "b"]),
    st.sampled_from(["claude-code", "gemini"]),
    st.sampled_from([None, None, None, "probe"]),
    st.sampled_from([None, "auth", "crash"]),
    st.none() | st.integers(0, 200_000),
)


@contextmanager
def database() -> Iterator[Connection]:
    """A database of its own for one example, gone with it."""
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as conn:
            metadata.create_all(conn)
            yield conn
    finally:
        engine.dispose()


def brute_force(events: list[Event], since: datetime, until: datetime, scope: Scope, scope_id: str) -> Totals:
    """Look at every event."""
    summed = Totals()
    for event in events:
        owner = {Scope.ALL: "", Scope.CLI: event.cli_type, Scope.AGENT: event.agent_id}[scope]
        if event.is_counted and since <= event.at < until and owner == scope_id:
            summed += totals_of(event)
    return summed


@settings(max_examples=40)
@given(st.lists(EVENTS, max_size=25), st.lists(st.tuples(INSTANTS, INSTANTS), min_size=1, max_size=4))
def test_sums_over_any_window_equal_a_count_of_the_events(
    events: list[Event], windows: list[tuple[datetime, datetime]]
) -> None:
    """Late and out of order, at any edge, for every scope: to the last execution and millisecond."""
    with database() as conn:
        for event in events:
            store.append(conn, event)
        for since, until in (sorted(window) for window in windows):
            for scope, scope_id in [(Scope.ALL, ""), (Scope.CLI, "gemini"), (Scope.AGENT, "a")]:
                expected = brute_force(events, since, until, scope, scope_id)
                assert rollup_store.totals(conn, since, until, scope, scope_id) == expected
            assert (
                window_store.counts(conn, since, until)
                == brute_force(events, since, until, Scope.ALL, "").counts
            )
