"""Executions that ended long ago go, with their output and what was said in them; nothing else does."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from kokino.agents import session_store
from kokino.executions import retention_store
from kokino.executions.lifecycle import end
from kokino.executions.model import Ending, Record, State
from kokino.executions.output import store as record_store
from kokino.integrity.checks import look_at_rows
from kokino.integrity.seen import Seen
from kokino.storage.schema import metadata, turns
from kokino.telemetry.retention import INTERVAL, Retention
from tests.integration.executions.given import Queue, agent, at, execution

KEPT = timedelta(days=30)
DAY = timedelta(days=1).total_seconds()


async def ran(queue: Queue, execution_id: str, *, until: datetime, wrote: int = 0) -> None:
    """It started at once, wrote some records and ended with an answer."""
    await queue.look()
    found = await queue.get(execution_id)

    def write(conn: Connection) -> None:
        lines = [
            Record(number=number, stream="stdout", body="{}", size=2, written_at=until)
            for number in range(1, wrote + 1)
        ]
        record_store.add(conn, execution_id, lines)
        ending = Ending(state=State.COMPLETED, content="hello")
        end(conn, found, ending, queue.ids, now=until, session_id="vendor", session_is_alive=True)

    await queue.storage.write(write)


async def sweep(queue: Queue, now: datetime, *, at_once: int = 500) -> int:
    """Let it run until nothing old is left; how often it had to."""
    kept = {retention_store.RECORDS: KEPT, retention_store.EXECUTIONS: KEPT}
    module = Retention(queue.storage, kept, at_once=at_once)
    for count in range(1, 100):
        if await module.run(now) == now + INTERVAL:
            return count
    raise AssertionError("it finds no end")


async def left(queue: Queue) -> dict[str, int]:
    """How many rows of each table are still there."""
    tables = ("executions", "records", "turns", "conversations")
    query = {name: select(func.count()).select_from(metadata.tables[name]) for name in tables}
    return await queue.storage.read(lambda conn: {name: conn.scalar(one) or 0 for name, one in query.items()})


async def test_what_ended_longer_ago_goes_with_its_output_and_its_turns(queue: Queue) -> None:
    """To the millisecond; the session's conversation stays, for the next turn goes on with it."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("old"), execution("young"))
    await ran(queue, "old", until=at(0), wrote=3)
    await ran(queue, "young", until=at(DAY), wrote=2)
    await sweep(queue, at(0) + KEPT)
    assert await left(queue) == {"executions": 2, "records": 5, "turns": 4, "conversations": 1}
    await sweep(queue, at(0.001) + KEPT)
    assert await left(queue) == {"executions": 1, "records": 2, "turns": 2, "conversations": 1}
    await sweep(queue, at(DAY + 1) + KEPT)
    assert await left(queue) == {"executions": 0, "records": 0, "turns": 0, "conversations": 1}
    await queue.accept(execution("next"))
    await ran(queue, "next", until=at(40 * DAY))
    assert await queue.storage.read(lambda conn: list(conn.scalars(select(turns.c.number)))) == [1, 2]


async def test_a_conversation_goes_with_its_last_turn_once_no_session_goes_on_with_it(queue: Queue) -> None:
    """What is left is whole, as a check of the database sees it."""
    await queue.agents(agent("writer"), agent("reviewer"))
    await queue.accept(execution("a"), execution("b", "reviewer"), execution("c", "reviewer"))
    await ran(queue, "a", until=at(0))
    await ran(queue, "b", until=at(0))
    await ran(queue, "c", until=at(DAY))
    await queue.storage.write(lambda conn: session_store.forget(conn, "writer"))
    await sweep(queue, at(1) + KEPT)
    assert await left(queue) == {"executions": 1, "records": 0, "turns": 2, "conversations": 1}
    seen = Seen()
    await look_at_rows(queue.storage, seen)
    assert (seen.total, seen.conversations, seen.turns) == (0, 1, 2)


async def test_what_has_not_ended_stays_however_old_it_is(queue: Queue) -> None:
    """One that runs, and one that waits behind it."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("runs"), execution("waits"))
    await queue.look()
    await sweep(queue, at(1000 * DAY))
    assert await left(queue) == {"executions": 2, "records": 0, "turns": 1, "conversations": 1}


async def test_an_execution_goes_after_its_output_which_goes_in_portions(queue: Queue) -> None:
    """However much it wrote, no other write waits for more than one portion."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("loud"))
    await ran(queue, "loud", until=at(0), wrote=5)
    kept = {retention_store.RECORDS: KEPT, retention_store.EXECUTIONS: KEPT}
    module = Retention(queue.storage, kept, at_once=2)
    now = at(1) + KEPT
    counts = []
    while await module.run(now) == now:
        found = await left(queue)
        counts.append((found["executions"], found["records"]))
    assert counts == [(1, 3), (1, 1)]
    assert (await left(queue))["executions"] == 0
