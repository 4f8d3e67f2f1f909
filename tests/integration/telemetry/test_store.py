"""Events and their sums, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from kokino.clock import EPOCH
from kokino.storage import Storage
from kokino.storage.schema import events, rollups
from kokino.telemetry import rollup_store as sums
from kokino.telemetry import store, window_store
from kokino.telemetry.model import END_TYPES, Counts, Event, EventType, Scope, Totals

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def ended(state: str, at: datetime, **more: object) -> Event:
    """The end of an execution."""
    values: dict[str, object] = {
        "agent_id": "writer",
        "cli_type": "claude-code",
        "duration_ms": 1_000,
        **more,
    }
    return Event(type=END_TYPES[state], at=at, **values)  # type: ignore[arg-type]


async def append(storage: Storage, written: Sequence[Event]) -> list[int]:
    """Append these events, in this order, in one transaction."""
    return await storage.write(lambda conn: [store.append(conn, event) for event in written])


async def totals(storage: Storage, since: datetime, until: datetime) -> Totals:
    """Sums over all users' executions."""
    return await storage.read(lambda conn: sums.totals(conn, since, until, Scope.ALL))


async def test_an_event_comes_back_as_it_was_written(storage: Storage) -> None:
    """Every field survives, to the millisecond."""
    event = Event(
        type=EventType.EXECUTION_FAILED,
        at=T + timedelta(milliseconds=7),
        agent_id="writer",
        cli_type="claude-code",
        account="claude-code:/home/a",
        execution_id="exec-1",
        label="probe",
        kind="auth",
        duration_ms=1_234,
        message="Invalid API key\nPlease run /login",
        data={"attempt": 2},
    )
    await append(storage, [event])
    [found] = await storage.read(store.recent)
    assert {name: getattr(found, name) for name in Event.__slots__ if name != "event_id"} == {
        name: getattr(event, name) for name in Event.__slots__ if name != "event_id"
    }


async def test_an_end_is_summed_for_all_its_cli_type_and_its_agent(storage: Storage) -> None:
    """One transaction writes the event and everything that is counted from it."""
    await append(
        storage, [ended("completed", T), ended("timeout", T, agent_id="b", cli_type="gemini", kind="timeout")]
    )

    async def read(scope: Scope, scope_id: str = "") -> Counts:
        found = await storage.read(lambda conn: sums.totals(conn, T - HOUR, T + HOUR, scope, scope_id))
        return found.counts

    assert await read(Scope.ALL) == Counts(good=1, bad=1)
    assert await read(Scope.CLI, "gemini") == Counts(bad=1)
    assert await read(Scope.AGENT, "writer") == Counts(good=1)
    assert await read(Scope.AGENT, "nobody") == Counts()
    assert (await totals(storage, T - HOUR, T + HOUR)).kinds == {"timeout": 1}


async def test_a_late_event_is_in_every_window_that_it_belongs_to(storage: Storage) -> None:
    """What is told two days late counts where it happened, in days that were summed long before."""
    await append(storage, [ended("completed", T + timedelta(days=2))])
    await append(storage, [ended("failed", T)])
    assert (await totals(storage, T - timedelta(days=1), T + timedelta(days=1))).counts == Counts(bad=1)


async def test_a_window_holds_its_first_millisecond_and_not_its_last(storage: Storage) -> None:
    """Windows are half-open, so that neighbours share no execution and lose none."""
    await append(storage, [ended("completed", T), ended("failed", T + HOUR)])
    assert (await totals(storage, T, T + HOUR)).counts == Counts(good=1)
    assert (await totals(storage, T + HOUR, T + 2 * HOUR)).counts == Counts(bad=1)


async def test_probes_are_kept_but_not_summed(storage: Storage) -> None:
    """Probes are found by their label only."""
    await append(storage, [ended("completed", T, label="probe"), ended("failed", T, label="probe")])
    assert (await totals(storage, T - HOUR, T + HOUR)).total == 0
    probes = await storage.read(lambda conn: window_store.labelled(conn, T - HOUR, T + HOUR, "probe"))
    assert probes == Counts(good=1, bad=1)


async def test_a_cancelled_execution_is_told_but_neither_good_nor_bad(storage: Storage) -> None:
    """It shows in the states, not in availability and not in latency."""
    await append(storage, [ended("cancelled", T, duration_ms=90_000)])
    found = await totals(storage, T - HOUR, T + HOUR)
    assert (found.total, found.states, found.durations.count) == (0, {"cancelled": 1}, 0)


async def test_what_fails_takes_event_and_sums_with_it(storage: Storage) -> None:
    """Half an event is never seen."""

    async def fail() -> None:
        def write(conn: object) -> None:
            store.append(conn, ended("failed", T))  # type: ignore[arg-type]
            raise RuntimeError("the transaction is undone")

        await storage.write(write)

    with pytest.raises(RuntimeError):
        await fail()
    assert (
        await storage.read(lambda conn: conn.execute(select(func.count()).select_from(events)).scalar_one())
        == 0
    )
    assert (await totals(storage, T - HOUR, T + HOUR)).total == 0


async def test_writers_at_the_same_time_lose_no_count(storage: Storage) -> None:
    """All add to the same rows; each is counted once."""
    await asyncio.gather(*(append(storage, [ended("completed", T, agent_id=f"a{n}")]) for n in range(12)))
    assert (await totals(storage, T - HOUR, T + HOUR)).counts == Counts(good=12)


async def test_recent_events_are_newest_first_and_can_be_paged(storage: Storage) -> None:
    """Order is by when it happened; a late event takes its place, and pages neither repeat nor skip."""
    await append(
        storage, [ended("completed", T + timedelta(seconds=s), execution_id=f"e{s}") for s in (1, 3, 2, 3)]
    )
    first = await storage.read(lambda conn: store.recent(conn, limit=2))
    rest = await storage.read(lambda conn: store.recent(conn, before_id=first[-1].event_id))
    assert [event.execution_id for event in [*first, *rest]] == ["e3", "e3", "e2", "e1"]


async def test_recent_events_are_found_by_type_agent_cli_type_and_time(storage: Storage) -> None:
    """Each filter narrows, and all hold together."""
    await append(
        storage,
        [
            ended("failed", T, execution_id="old"),
            ended("failed", T + HOUR, execution_id="wanted"),
            ended("completed", T + HOUR),
            ended("failed", T + HOUR, agent_id="b"),
            ended("failed", T + HOUR, cli_type="gemini"),
        ],
    )
    found = await storage.read(
        lambda conn: store.recent(
            conn, type="EXECUTION_FAILED", agent_id="writer", cli_type="claude-code", since=T + HOUR
        )
    )
    assert [event.execution_id for event in found] == ["wanted"]


async def test_failures_are_told_by_cli_type_with_the_latest_error(storage: Storage) -> None:
    """The worst stands first, with how it last failed; a healthy one is listed with its total."""
    await append(
        storage,
        [
            ended("failed", T, kind="auth", message="first"),
            ended("failed", T + timedelta(minutes=9), kind="auth", message="latest"),
            ended("timeout", T + timedelta(minutes=5), kind="timeout", message="between"),
            ended("failed", T + timedelta(minutes=20), label="drill", message="not a user's"),
            ended("completed", T, cli_type="gemini", agent_id="b"),
        ],
    )
    failing, healthy = await storage.read(
        lambda conn: store.failures_by(conn, scope=Scope.CLI, since=T - HOUR, until=T + HOUR)
    )
    assert (failing.id, failing.failures, failing.total, failing.kinds) == (
        "claude-code",
        3,
        3,
        {"auth": 2, "timeout": 1},
    )
    assert (failing.last_error, failing.last_failure_at) == ("latest", T + timedelta(minutes=9))
    assert (healthy.id, healthy.failures, healthy.total, healthy.last_failure_at) == ("gemini", 0, 1, None)


async def test_what_was_refused_is_counted_beside_the_failures(storage: Storage) -> None:
    """It never reached the CLI: the kind and the error of those that ran are the ones to explain."""
    await append(
        storage,
        [
            ended("completed", T),
            ended("failed", T, kind="auth", message="401"),
            ended("refused", T + timedelta(minutes=1), kind="refused", message="its circuit breaker is open"),
            ended("refused", T + timedelta(minutes=2), kind="lock_timeout", message="waited 300 s"),
            ended("refused", T, kind="refused", cli_type="gemini"),
        ],
    )
    failing, untouched = await storage.read(
        lambda conn: store.failures_by(conn, scope=Scope.CLI, since=T - HOUR, until=T + HOUR)
    )
    assert (failing.failures, failing.total, failing.failure_rate, failing.refused) == (1, 2, 0.5, 2)
    assert (failing.kinds, failing.last_error, failing.last_failure_at) == ({"auth": 1}, "401", T)
    assert (untouched.id, untouched.failures, untouched.total, untouched.refused) == ("gemini", 0, 0, 1)


async def test_latency_is_told_by_agent_slowest_first(storage: Storage) -> None:
    """An agent that only cancelled has no latency and is left out."""
    await append(
        storage,
        [
            *(ended("completed", T, agent_id="quick", duration_ms=1_000) for _ in range(3)),
            ended("timeout", T, agent_id="slow", duration_ms=300_000),
            ended("cancelled", T, agent_id="stopped", duration_ms=600_000),
        ],
    )
    rows = await storage.read(lambda conn: store.latency_by_agent(conn, since=T - HOUR, until=T + HOUR))
    assert [(row.agent_id, row.count, row.p95_ms, row.max_ms) for row in rows] == [
        ("slow", 1, 300_000, 300_000),
        ("quick", 3, 1_000, 1_000),
    ]


async def test_one_event_writes_ten_sums(storage: Storage) -> None:
    """The price of exactness: three scopes by three grains, and the counter that is never deleted."""
    await append(storage, [ended("completed", T)])
    rows = await storage.read(lambda conn: conn.execute(select(rollups.c.bucket_at)).scalars().all())
    assert len(rows) == 10
    assert rows.count(EPOCH) == 1
