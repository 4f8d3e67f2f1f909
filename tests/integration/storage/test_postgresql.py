"""What is PostgreSQL's own: other programs' transactions, and a session that is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.exc import InternalError

from kokino.errors import StorageError
from kokino.storage import Storage, check_opens, open_storage
from kokino.storage import writer as module
from kokino.storage.schema import installation
from tests.integration.storage.gate import in_one_batch
from tests.integration.storage.rows import keys, note

#: Ends the session that holds a broker's claim, and returns when it is gone.
CUT = """
    SELECT pg_terminate_backend(pid, 30000) FROM pg_locks
    WHERE locktype = 'advisory'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture
async def storage(new_postgresql_url: str) -> AsyncIterator[Storage]:
    """An open PostgreSQL database."""
    opened = await open_storage(new_postgresql_url)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def outside(storage: Storage, new_postgresql_url: str) -> Iterator[psycopg.Connection]:
    """Another program on it, each statement its own transaction."""
    assert storage.dialect == "postgresql"
    with psycopg.connect(new_postgresql_url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


class Counting:
    """Reads a counter, adds one and writes it; between the two another program sets it to 10."""

    def __init__(self, outside: psycopg.Connection, *, collisions: int) -> None:
        self.runs = 0
        self._outside = outside
        self._collisions = collisions

    def __call__(self, conn: Connection) -> None:
        """To be written."""
        held = int(conn.execute(select(installation.c.value)).scalars().first() or 0)
        self.runs += 1
        if self.runs <= self._collisions:
            self._outside.execute("UPDATE installation SET value = '10' WHERE key = 'counter'")
        counter = update(installation).where(installation.c.key == "counter")
        conn.execute(counter.values(value=str(held + 1)))


def counter(conn: Connection) -> str | None:
    """What it has come to."""
    return conn.scalar(select(installation.c.value).where(installation.c.key == "counter"))


async def test_a_batch_that_collides_is_run_again(storage: Storage, outside: psycopg.Connection) -> None:
    """On what the other program has written meanwhile; nobody's work is lost or done twice."""
    await storage.write(note("counter", "0"))
    count = Counting(outside, collisions=2)
    assert await in_one_batch(storage, count, note("neighbour")) == [None, None]
    assert count.runs == 3
    assert await storage.read(counter) == "11"
    assert await storage.read(keys) == {"counter", "neighbour"}


async def test_a_write_that_keeps_colliding_fails_alone(
    storage: Storage, outside: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a number of tries together and alone its caller hears of it; its neighbours are written."""
    monkeypatch.setattr(module, "FIRST_PAUSE", 0)
    await storage.write(note("counter", "0"))
    count = Counting(outside, collisions=1_000)
    results = await in_one_batch(storage, note("before"), count, note("after"))
    assert [type(result) for result in results] == [type(None), StorageError, type(None)]
    assert "it lost against other programs' transactions each time; try again" in str(results[1])
    assert count.runs == module.TRIES_TOGETHER + module.TRIES_ALONE
    assert await storage.read(keys) == {"counter", "before", "after"}


async def test_a_duplicate_of_a_row_that_came_meanwhile_is_looked_at_once_more(
    storage: Storage, outside: psycopg.Connection
) -> None:
    """The function could not see it when it looked; with a new snapshot it can, and its neighbours stand."""
    runs: list[str] = []

    def take_the_next(conn: Connection) -> None:
        taken = str(conn.scalar(select(func.count()).select_from(installation)))
        if not runs:
            outside.execute("INSERT INTO installation VALUES (%s, 'theirs')", [taken])
        runs.append(taken)
        note(taken)(conn)

    def neighbour(_conn: Connection) -> None:
        runs.append("neighbour")

    assert await in_one_batch(storage, take_the_next, neighbour) == [None, None]
    assert runs == ["0", "neighbour", "1"]
    assert await storage.read(keys) == {"0", "1"}


async def test_an_error_that_a_function_swallows_is_its_own_callers(storage: Storage) -> None:
    """PostgreSQL does nothing more for a transaction that has failed: to say "written" would be a lie."""

    def swallows(conn: Connection) -> None:
        note("half")(conn)
        with pytest.raises(Exception, match="nowhere"):
            conn.execute(text("SELECT nonsense FROM nowhere"))

    results = await in_one_batch(storage, note("before"), swallows, note("after"))
    assert [type(result) for result in results] == [type(None), InternalError, type(None)]
    assert await storage.read(keys) == {"before", "after"}


async def test_a_session_that_is_lost_in_a_batch_fails_it_and_the_next_one_has_another(
    storage: Storage, outside: psycopg.Connection
) -> None:
    """Whether it was committed nobody could tell, so nothing is run again."""

    def is_cut_off(conn: Connection) -> None:
        outside.execute(CUT)
        keys(conn)

    results = await in_one_batch(storage, note("a"), is_cut_off, note("b"))
    assert [type(result) for result in results] == [StorageError] * 3
    assert str(results[0]).endswith("is the server up?")
    await storage.write(note("c"))
    assert await storage.read(keys) == {"c"}


async def test_a_session_that_is_lost_between_batches_is_replaced(
    storage: Storage, outside: psycopg.Connection
) -> None:
    """A server that was restarted overnight costs nobody an execution in the morning."""
    await storage.write(note("a"))
    outside.execute(CUT)
    await storage.write(note("b"))
    assert await storage.read(keys) == {"a", "b"}


@pytest.mark.usefixtures("storage")
async def test_a_look_beside_the_broker_finds_that_the_server_answers(new_postgresql_url: str) -> None:
    """It claims nothing; a database that is not there is told as a start would tell it."""
    check_opens(new_postgresql_url)
    with pytest.raises(StorageError, match="is the server up, and may this user log in"):
        check_opens(f"{new_postgresql_url}&dbname=no_such_database")
