"""What both databases promise to whoever reads and writes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from kokino.errors import StorageError
from kokino.storage import Storage, open_storage
from kokino.storage.installation import identity
from kokino.storage.schema import installation
from kokino.storage.text import storable

#: Far longer than anything here takes, in seconds.
PATIENCE = 30


def note(key: str, value: str = "") -> Callable[[Connection], None]:
    """Writes one row."""
    return lambda conn: void(conn.execute(insert(installation).values(key=key, value=value)))


def void(_result: object) -> None:
    """No value."""


def keys(conn: Connection) -> set[str]:
    """The rows that are there."""
    return set(conn.scalars(select(installation.c.key)))


async def test_a_write_answers_with_its_value_and_is_read_by_everybody(storage: Storage) -> None:
    """What was answered is there for the next reader."""

    def write(conn: Connection) -> int:
        note("a")(conn)
        return 42

    assert await storage.write(write) == 42
    assert await storage.read(keys) == {"a"}


async def test_it_is_still_there_when_it_is_opened_again(new_storage_url: str) -> None:
    """Opening migrates nothing twice and loses nothing."""
    first = await open_storage(new_storage_url)
    await first.write(note("a"))
    await first.close()
    second = await open_storage(new_storage_url)
    assert await second.read(keys) == {"a"}
    await second.close()


async def test_what_a_function_raises_undoes_its_own_rows_only(storage: Storage) -> None:
    """The callers beside it, who may share its commit, keep theirs; the error is the function's own."""

    def fails(conn: Connection) -> None:
        note("half")(conn)
        raise LookupError("changed my mind")

    results = await asyncio.gather(
        storage.write(note("before")),
        storage.write(fails),
        storage.write(note("after")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), LookupError, type(None)]
    assert await storage.read(keys) == {"before", "after"}


@pytest.mark.parametrize("statement", ["SELECT nonsense FROM nowhere", "SELEKT 1"])
async def test_a_faulty_statement_is_its_own_writers_alone(storage: Storage, statement: str) -> None:
    """A mistake in one query must not take the work of others with it."""
    results = await asyncio.gather(
        storage.write(note("before")),
        storage.write(lambda conn: void(conn.execute(text(statement)))),
        storage.write(note("after")),
        return_exceptions=True,
    )
    assert [result is None for result in results] == [True, False, True]
    assert await storage.read(keys) == {"before", "after"}


async def test_a_broken_rule_of_the_schema_is_its_own_writers_alone(storage: Storage) -> None:
    """Two that write the same key: the first has it, the second hears of it."""
    results = await asyncio.gather(
        storage.write(note("a")),
        storage.write(note("a")),
        storage.write(note("b")),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["IntegrityError", "NoneType", "NoneType"]
    assert await storage.read(keys) == {"a", "b"}
    with pytest.raises(IntegrityError):
        await storage.write(note("a"))


async def test_a_reader_cannot_write(storage: Storage) -> None:
    """`read` is no way around the writer."""
    with pytest.raises(StorageError):
        await storage.read(note("a"))
    assert await storage.read(keys) == set()


async def test_a_read_is_one_snapshot(storage: Storage) -> None:
    """What is committed while it runs is not seen by its second query."""
    has_looked, may_go_on = threading.Event(), threading.Event()

    def looks_twice(conn: Connection) -> tuple[set[str], set[str]]:
        first = keys(conn)
        has_looked.set()
        assert may_go_on.wait(PATIENCE)
        return first, keys(conn)

    await storage.write(note("a"))
    read = asyncio.create_task(storage.read(looks_twice))
    assert await asyncio.to_thread(has_looked.wait, PATIENCE)
    await storage.write(note("b"))
    may_go_on.set()
    assert await read == ({"a"}, {"a"})
    assert await storage.read(keys) == {"a", "b"}


async def test_slow_readers_do_not_hold_up_a_write(storage: Storage) -> None:
    """A long report and the next execution do not wait for each other."""
    may_end = threading.Event()
    slow = [
        asyncio.create_task(storage.read(lambda conn: (keys(conn), may_end.wait(PATIENCE)))) for _ in range(2)
    ]
    await storage.write(note("a"))
    may_end.set()
    assert all(ended for _, ended in await asyncio.gather(*slow))


async def test_what_was_accepted_before_a_close_is_committed(storage: Storage) -> None:
    """Closing finishes the queue."""
    writes = [asyncio.create_task(storage.write(note(str(number)))) for number in range(5)]
    await asyncio.sleep(0)
    await storage.close()
    assert await asyncio.gather(*writes) == [None] * 5


async def test_a_closed_database_says_so(storage: Storage) -> None:
    """Reading and writing alike; closing twice is closing once."""
    await storage.close()
    await storage.close()
    for use in (storage.read, storage.write):
        with pytest.raises(StorageError, match="the database is closed"):
            await use(keys)


async def test_concurrent_changes_of_one_row_all_count(storage: Storage) -> None:
    """Each reads, adds one and writes; on PostgreSQL those that collide are run again."""

    def count(conn: Connection) -> None:
        held = int(conn.execute(select(installation.c.value)).scalar_one())
        conn.execute(update(installation).values(value=str(held + 1)))

    await storage.write(note("counter", "0"))
    await asyncio.gather(*(storage.write(count) for _ in range(16)))
    assert await storage.read(lambda conn: conn.scalar(select(installation.c.value))) == "16"


async def test_concurrent_inserts_behind_a_query_do_not_collide_for_good(storage: Storage) -> None:
    """Each takes the next free number, as the queue of executions does; nobody hears of a duplicate."""

    def take(conn: Connection) -> int:
        number = conn.execute(select(func.count()).select_from(installation)).scalar_one()
        note(str(number))(conn)
        return number

    assert sorted(await asyncio.gather(*(storage.write(take) for _ in range(12)))) == list(range(12))


async def test_the_installation_keeps_its_first_identity(storage: Storage) -> None:
    """A restart is the same installation."""
    assert await storage.write(lambda conn: identity(conn, "first")) == "first"
    assert await storage.write(lambda conn: identity(conn, "second")) == "first"


async def test_any_text_is_kept_once_it_is_storable(storage: Storage) -> None:
    """NUL, half surrogate pairs, and the largest and rarest of characters come back as they were stored."""
    odd = ["a\x00b", "\ud800", "\udfff tail", "\U0010ffff", "\ufeff", "\r\n\t\x07", "日本語 ñïçødé"]
    for number, one in enumerate(odd):
        await storage.write(note(str(number), storable(one)))
    rows = await storage.read(
        lambda conn: list(conn.scalars(select(installation.c.value).order_by(installation.c.key)))
    )
    assert rows == [storable(one) for one in odd]
