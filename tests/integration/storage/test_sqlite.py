"""One writer, shared commits: what SQLite's group commit does when something goes wrong."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, insert, select, text

from kokino.errors import StorageError
from kokino.storage import open_storage
from kokino.storage import sqlite as module
from kokino.storage.schema import installation
from kokino.storage.sqlite import SqliteStorage

#: Far longer than anything here takes, in seconds.
PATIENCE = 30


@pytest.fixture
async def storage(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStorage]:
    """An open SQLite database whose writer gives another program's lock no time."""
    monkeypatch.setattr(module, "BUSY_TIMEOUT_MS", 1)
    opened = await open_storage(sqlite_url)
    assert isinstance(opened, SqliteStorage)
    try:
        yield opened
    finally:
        await opened.close()


class Gate:
    """Holds the writer inside a transaction, so that what comes meanwhile must share the next one."""

    def __init__(self) -> None:
        self.entered, self._leave = threading.Event(), threading.Event()

    def hold(self, _conn: Connection) -> None:
        """To be written."""
        self.entered.set()
        assert self._leave.wait(PATIENCE)

    def open(self) -> None:
        """Let the writer go on."""
        self._leave.set()


async def held(storage: SqliteStorage) -> tuple[Gate, asyncio.Task[None]]:
    """A gate that holds the writer now."""
    gate = Gate()
    holding = asyncio.create_task(storage.write(gate.hold))
    assert await asyncio.to_thread(gate.entered.wait, PATIENCE)
    return gate, holding


def note(key: str) -> Callable[[Connection], None]:
    """Writes one row."""

    def write(conn: Connection) -> None:
        conn.execute(insert(installation).values(key=key, value=""))

    return write


def keys(conn: Connection) -> set[str]:
    """The rows that are there."""
    return set(conn.scalars(select(installation.c.key)))


def fails_to_commit(conn: Connection) -> None:
    """Leaves a reference to nothing, which SQLite is told to look for only at the commit."""
    conn.execute(text("PRAGMA defer_foreign_keys=ON"))
    conn.execute(
        text(
            "INSERT INTO records (execution_id, number, stream, body, size, written_at)"
            " VALUES ('nobody', 1, '', '', 0, 0)"
        )
    )


async def test_what_waits_while_a_commit_runs_shares_the_next_one(storage: SqliteStorage) -> None:
    """Ten writers, one sync of the disk."""
    commits = []
    event.listen(storage._writer, "commit", lambda _conn: commits.append(1))
    gate, holding = await held(storage)
    writes = [asyncio.create_task(storage.write(note(str(number)))) for number in range(10)]
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(holding, *writes)
    assert len(commits) == 2
    assert len(await storage.read(keys)) == 10


async def test_a_failed_commit_fails_the_whole_batch_and_nothing_of_it_is_kept(
    storage: SqliteStorage,
) -> None:
    """Nobody is told that something is durable which is not; the next write works again."""
    gate, holding = await held(storage)
    writes = [asyncio.create_task(storage.write(fn)) for fn in (note("a"), fails_to_commit, note("b"))]
    await asyncio.sleep(0)
    gate.open()
    await holding
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [StorageError] * 3
    assert "FOREIGN KEY constraint failed" in str(results[0])
    assert await storage.read(keys) == set()
    await storage.write(note("c"))
    assert await storage.read(keys) == {"c"}


async def test_what_its_caller_gave_up_before_its_turn_is_not_written(storage: SqliteStorage) -> None:
    """And its neighbours are."""
    gate, holding = await held(storage)
    given_up = asyncio.create_task(storage.write(note("given up")))
    kept = asyncio.create_task(storage.write(note("kept")))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    gate.open()
    await asyncio.gather(holding, kept)
    assert await storage.read(keys) == {"kept"}


async def test_what_its_caller_gave_up_too_late_is_written_and_harms_nobody(storage: SqliteStorage) -> None:
    """A cancelled caller cannot stop a transaction that has begun, nor break the writer."""
    gate = Gate()

    def slow(conn: Connection) -> None:
        gate.hold(conn)
        note("late")(conn)

    writing = asyncio.create_task(storage.write(slow))
    assert await asyncio.to_thread(gate.entered.wait, PATIENCE)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    gate.open()
    await storage.write(note("next"))
    assert await storage.read(keys) == {"late", "next"}


async def test_another_programs_lock_is_named_and_outlived(storage: SqliteStorage) -> None:
    """The message says who is in the way; once it is gone, writing goes on."""
    with sqlite3.connect(storage.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="another program holds it"):
            await storage.write(note("a"))
        other.execute("ROLLBACK")
    other.close()
    await storage.write(note("b"))
    assert await storage.read(keys) == {"b"}


async def test_a_full_disk_is_said_clearly(storage: SqliteStorage) -> None:
    """A database that may not grow any more refuses the batch, keeps what it has, and is not broken by it."""

    def fill(conn: Connection) -> None:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        conn.execute(insert(installation).values(key="big", value="x" * 1_000_000))

    await storage.write(note("a"))
    with pytest.raises(StorageError, match="full: free some space; nothing that was acknowledged is lost"):
        await storage.write(fill)
    assert await storage.read(keys) == {"a"}


async def test_every_commit_reaches_the_disk(storage: SqliteStorage) -> None:
    """What was answered survives a power cut: WAL, and a sync with each commit."""

    def pragmas(conn: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [conn.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    full = 2
    assert await storage.write(pragmas) == ["wal", full, 1]


async def test_the_file_is_its_users_alone(storage: SqliteStorage) -> None:
    """Prompts and answers are in it."""
    assert storage.path.stat().st_mode & 0o077 == 0
    assert storage.path.parent.is_dir()


async def test_missing_folders_are_made_for_this_user_only(tmp_path: Path) -> None:
    """A fresh home needs no preparation."""
    opened = await open_storage(f"sqlite:///{tmp_path}/broker/data/kokino.db")
    await opened.close()
    assert (tmp_path / "broker" / "data").stat().st_mode & 0o077 == 0
