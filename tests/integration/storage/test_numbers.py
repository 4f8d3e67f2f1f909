"""The database numbers executions in the order of their acceptance."""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection, delete

from kokino.executions import store
from kokino.executions.model import Execution
from kokino.storage import Storage
from kokino.storage.schema import executions
from tests.integration.executions.given import execution


async def accept(storage: Storage, name: str) -> Execution:
    """Put one into the queue."""
    return await storage.write(lambda conn: store.accept(conn, execution(name)))


async def test_many_at_once_have_a_number_each(storage: Storage) -> None:
    """Nobody waits for another's number, and the queue is in their order."""
    accepted = await asyncio.gather(*(accept(storage, f"exec-{number}") for number in range(64)))
    assert len({one.number for one in accepted}) == 64
    heads = await storage.read(
        lambda conn: store.page(conn, agent_id=None, state=None, before=None, limit=64)
    )
    assert [one.number for one in heads] == sorted((one.number for one in accepted), reverse=True)


async def test_the_number_of_an_execution_that_is_gone_is_not_given_again(storage: Storage) -> None:
    """A page that was cut at it goes on where it was."""

    def forget(conn: Connection) -> None:
        conn.execute(delete(executions))

    first = await accept(storage, "first")
    await storage.write(forget)
    second = await accept(storage, "second")
    assert second.number > first.number
