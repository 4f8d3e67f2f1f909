"""SQLite: one connection that writes, a few that read, and what its errors mean."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from kokino.errors import StorageError
from kokino.storage.writer import Blame, Writer
from kokino.storage.writes import Writes

T = TypeVar("T")

#: Writes that may share one commit. Bounds how much a failed commit can take with it.
LARGEST_BATCH = 256
#: Read-only connections, so that a slow report does not hold up the dashboard.
READERS = 4
#: How long SQLite itself waits for another process's lock.
BUSY_TIMEOUT_MS = 5_000


class SqliteStorage:
    """A SQLite file in WAL mode, synchronous=FULL: what was answered survives a power cut."""

    dialect = "sqlite"

    def __init__(self, path: Path, writing: Engine, *, claim: BinaryIO | None) -> None:
        """`writing` is a `writing_engine` of the same `path`; it and the `claim` are the storage's own."""
        self.path = path
        self._claim = claim
        self._reader = _engine(path, readonly=True)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="kokino-read")
        self._writer = Writer(writing, blame=blame, explained=self._explained, largest_batch=LARGEST_BATCH)
        self._closed = False

    @property
    def file(self) -> Path | None:
        """The file that it is in."""
        return self.path

    @property
    def writes(self) -> Writes:
        """How the writer has fared."""
        return self._writer.writes

    @property
    def waiting(self) -> int:
        """How many writes wait for the next commit."""
        return self._writer.waiting

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on a snapshot; see `Storage.read`."""
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, fn)

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in the next commit; see `Storage.write`."""
        self._check_open()
        return await self._writer.write(fn)

    async def close(self) -> None:
        """Commit what waits, then close the file."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._readers.shutdown)
        self._reader.dispose()
        # Last of all connections, so that the log is folded into the file.
        await asyncio.to_thread(self._writer.close)
        if self._claim is not None:
            self._claim.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("the database is closed: the broker is stopping")

    def _read(self, fn: Callable[[Connection], T]) -> T:
        try:
            with self._reader.connect() as conn, conn.begin():
                return fn(conn)
        except DBAPIError as error:
            raise _explained(self.path, error) from error

    def _explained(self, error: BaseException) -> StorageError:
        return _explained(self.path, error)


def blame(error: BaseException) -> Blame:
    """Whom an error of a write concerns.

    A full disk or a broken file is everybody's: SQLite has undone the whole transaction already, or will.
    """
    of_the_statement = sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.DataError
    said = error.orig if isinstance(error, DBAPIError) else None
    if not isinstance(said, sqlite3.DatabaseError) or isinstance(said, of_the_statement):
        return Blame.CALLER
    is_faulty_sql = getattr(said, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    return Blame.CALLER if is_faulty_sql else Blame.DATABASE


def _explained(path: Path, error: BaseException) -> StorageError:
    """Say what happened to the file, and what to do next."""
    said = str(getattr(error, "orig", None) or error)
    if "locked" in said or "busy" in said:
        advice = "another program holds it; close that one (fuser tells which), then try again"
    elif "full" in said:
        advice = "free some space; nothing that was acknowledged is lost"
    elif "malformed" in said or "not a database" in said:
        advice = "the file is damaged; stop the broker and restore a backup: kokino integrity restore FILE"
    elif "readonly" in said or "unable to open" in said:
        advice = "check that its folder exists and may be written by this user"
    else:
        advice = "see the broker's log for the whole error"
    return StorageError(f"{path}: {said}: {advice}")


def writing_engine(path: Path) -> Engine:
    """The one connection that writes, and checkpoints; what else writes waits while it does."""
    return _engine(path, readonly=False)


def _engine(path: Path, *, readonly: bool) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=READERS if readonly else 1,
        max_overflow=0,
        # We say BEGIN ourselves, below: the driver's own guess when to begin breaks savepoints.
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": BUSY_TIMEOUT_MS / 1000},
    )

    @event.listens_for(engine, "connect")
    def configure(dbapi: sqlite3.Connection, _record: object) -> None:
        if readonly:
            dbapi.execute("PRAGMA query_only=ON")
            dbapi.execute("PRAGMA wal_autocheckpoint=0")
        else:
            dbapi.execute("PRAGMA journal_mode=WAL")
            dbapi.execute("PRAGMA synchronous=FULL")
        dbapi.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(conn: Connection) -> None:
        conn.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")

    return engine
