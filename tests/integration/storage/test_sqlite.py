"""What is SQLite's own: other programs' locks, a full disk, the file and who may read it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from kokino.errors import StorageError
from kokino.storage import open_storage
from kokino.storage import sqlite as module
from kokino.storage.schema import installation
from kokino.storage.sqlite import SqliteStorage


@pytest.fixture
async def storage(new_sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStorage]:
    """An open SQLite database whose writer gives another program's lock no time."""
    monkeypatch.setattr(module, "BUSY_TIMEOUT_MS", 1)
    opened = await open_storage(new_sqlite_url)
    assert isinstance(opened, SqliteStorage)
    try:
        yield opened
    finally:
        await opened.close()


def note(key: str) -> Callable[[Connection], None]:
    """Writes one row."""

    def write(conn: Connection) -> None:
        conn.execute(insert(installation).values(key=key, value=""))

    return write


def keys(conn: Connection) -> set[str]:
    """The rows that are there."""
    return set(conn.scalars(select(installation.c.key)))


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
