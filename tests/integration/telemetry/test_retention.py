"""What is old is deleted bit by bit; what is young, and what was ever counted, stays. On both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Row, func, select

from kokino.barrier import Faults
from kokino.storage import Storage
from kokino.storage.schema import events, rollups
from kokino.storage.shelf import Shelf
from kokino.telemetry import exposition, retention_store, rollup_store, store
from kokino.telemetry.model import END_TYPES, Event, Scope
from kokino.telemetry.retention import INTERVAL, Retention
from kokino.telemetry.windows import Grain

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
KEPT = {retention_store.EVENTS: 90 * DAY, retention_store.ROLLUPS: 400 * DAY}


def retention(storage: Storage, *, at_once: int = 500) -> Retention:
    """The module as it is wired."""
    return Retention(storage, KEPT, at_once=at_once)


async def ended(storage: Storage, *instants: datetime) -> None:
    """Executions that ended then, one of them after the other."""

    def write(conn: Connection) -> None:
        for at in instants:
            store.append(
                conn,
                Event(type=END_TYPES["completed"], at=at, agent_id="a", cli_type="c", duration_ms=1_000),
            )

    await storage.write(write)


async def swept(storage: Storage, now: datetime, *, at_once: int = 500) -> int:
    """Let it run until it has nothing more to do; how often it had to."""
    module = retention(storage, at_once=at_once)
    for count in range(1, 100):
        if await module.run(now) == now + INTERVAL:
            return count
    raise AssertionError("it finds no end")


async def kept_events(storage: Storage) -> list[datetime]:
    """When what is still there happened."""
    return await storage.read(lambda conn: list(conn.scalars(select(events.c.at).order_by(events.c.at))))


async def test_events_go_when_they_are_older_than_they_are_kept(storage: Storage) -> None:
    """To the millisecond."""
    await ended(storage, T, T + timedelta(milliseconds=1), T + DAY)
    await swept(storage, T + 90 * DAY + timedelta(milliseconds=1))
    assert await kept_events(storage) == [T + timedelta(milliseconds=1), T + DAY]


async def test_sums_go_with_the_end_of_their_stretch_and_what_was_ever_counted_stays(
    storage: Storage,
) -> None:
    """A day goes when its last minute is too old, its first hours earlier."""
    await ended(storage, T)
    day_ends = T.replace(hour=0) + DAY

    async def left(now: datetime) -> set[str]:
        await swept(storage, now)
        return await storage.read(lambda conn: set(conn.scalars(select(rollups.c.grain).distinct())))

    assert await left(T + 400 * DAY) == {Grain.EVER, Grain.DAY, Grain.HOUR, Grain.MINUTE}
    assert await left(T + 400 * DAY + timedelta(minutes=1)) == {Grain.EVER, Grain.DAY, Grain.HOUR}
    assert await left(T + 400 * DAY + timedelta(hours=1)) == {Grain.EVER, Grain.DAY}
    assert await left(day_ends + 400 * DAY - timedelta(milliseconds=1)) == {Grain.EVER, Grain.DAY}
    assert await left(day_ends + 400 * DAY) == {Grain.EVER}


async def test_counters_and_answers_over_30_days_do_not_change(storage: Storage) -> None:
    """Neither the whole buckets nor the edges of a window, for they are younger than what goes."""
    now = T + 500 * DAY
    instants = [now - DAY / 7 * number for number in range(0, 3_500, 50)]
    await ended(storage, *sorted(instants))

    def answers(conn: Connection) -> tuple[object, ...]:
        windows = [
            rollup_store.totals(conn, now - length, now, Scope.ALL) for length in (DAY, 7 * DAY, 30 * DAY)
        ]
        return exposition.render(exposition.snapshot(conn, now=now)).split(b"# HELP python")[0], windows

    before = await storage.read(answers)
    await swept(storage, now)

    assert await storage.read(answers) == before
    assert len(await kept_events(storage)) < len(instants)


async def test_the_newest_event_stays_however_old_it_is(storage: Storage) -> None:
    """Its number is given to no other: who has read up to it finds what comes next."""
    await ended(storage, T, T + DAY)
    await swept(storage, T + 1000 * DAY)
    assert await kept_events(storage) == [T + DAY]
    await ended(storage, T + 1000 * DAY)
    numbers = await storage.read(lambda conn: list(conn.scalars(select(events.c.event_id))))
    assert sorted(numbers) == [2, 3]


async def test_many_go_batch_by_batch(storage: Storage) -> None:
    """Each run takes one batch of each table; while there is more it is due again at once."""
    await ended(storage, *[T + number * timedelta(seconds=1) for number in range(8)])
    module, now = retention(storage, at_once=3), T + 100 * DAY
    left = []
    while await module.run(now) == now:
        left.append(len(await kept_events(storage)))
    # Of 8 the newest stays: 3, 3 and 1 go, and only the last batch says that there are no more.
    assert left == [5, 2]
    assert len(await kept_events(storage)) == 1
    assert await module.run(now + INTERVAL / 2) == now + INTERVAL


async def test_a_write_goes_through_between_two_batches(storage: Storage) -> None:
    """Whoever wants to write waits for the batch that is being deleted, and for no further one."""
    order: list[str] = []

    class Slow(Shelf):
        """Writes down when it deletes; the first time, somebody else wants to write meanwhile."""

        def delete(self, conn: Connection, keys: Sequence[Row[Any]], *, than: datetime) -> None:
            order.append("batch")
            if len(order) == 1:
                loop.call_soon_threadsafe(lambda: waiting.append(asyncio.ensure_future(other())))
            super().delete(conn, keys, than=than)

    async def other() -> None:
        await storage.write(lambda _conn: order.append("other"))

    loop, waiting = asyncio.get_running_loop(), list[asyncio.Future[None]]()
    shelf = Slow(table=events, is_older=retention_store.EVENTS.is_older)
    await ended(storage, *[T + number * timedelta(seconds=1) for number in range(9)])
    module, now = Retention(storage, {shelf: 90 * DAY}, at_once=2), T + 100 * DAY
    while await module.run(now) == now:
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)

    assert order.count("batch") == 4
    assert order.index("other") <= 2


async def test_a_table_that_cannot_be_thinned_out_keeps_no_other_from_it(storage: Storage) -> None:
    """What went wrong is raised once all had their turn."""

    class Broken(Shelf):
        """Finds nothing but trouble."""

        def find(self, conn: Connection, *, than: datetime, limit: int) -> Sequence[Row[Any]]:
            raise ValueError("no search today")

    await ended(storage, T, T + DAY)
    broken = Broken(table=rollups, is_older=retention_store.ROLLUPS.is_older)
    module = Retention(storage, {broken: DAY, retention_store.EVENTS: 90 * DAY})
    with pytest.raises(Faults, match="rollups: ValueError"):
        await module.run(T + 100 * DAY)
    assert await kept_events(storage) == [T + DAY]


@pytest.mark.parametrize("shelf", KEPT)
async def test_a_search_for_old_rows_reads_by_an_index(storage: Storage, shelf: Shelf) -> None:
    """With ten million events it must not read them all."""
    if storage.dialect != "sqlite":
        await storage.read(lambda conn: shelf.find(conn, than=T, limit=1))  # its planner goes by statistics
        return
    query = select(*shelf.table.primary_key.columns).where(shelf.is_older(T)).limit(500)

    def plan(conn: Connection) -> list[str]:
        text = str(query.compile(conn, compile_kwargs={"literal_binds": True}))
        return [row.detail for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]

    steps = await storage.read(plan)
    assert [step for step in steps if step.startswith("SCAN")] == []
    assert await storage.read(lambda conn: conn.scalar(select(func.count()).select_from(shelf.table))) == 0
