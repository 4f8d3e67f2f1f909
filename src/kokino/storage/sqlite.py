"""SQLite: one writer thread that commits together whatever waited while it committed last."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, QueuePool

from kokino.errors import StorageError

T = TypeVar("T")

#: Writes that may share one commit. Bounds how much a failed commit can take with it.
LARGEST_BATCH = 256
#: Read-only connections, so that a slow report does not hold up the dashboard.
READERS = 4
#: How long SQLite itself waits for another process's lock.
BUSY_TIMEOUT_MS = 5_000


@dataclass(slots=True)
class _Write:
    """One `fn` on its way through the writer."""

    fn: Callable[[Connection], Any]
    future: Future[Any] = field(default_factory=Future)
    value: Any = None
    error: BaseException | None = None


class SqliteStorage:
    """A SQLite file in WAL mode, synchronous=FULL: what was answered survives a power cut."""

    dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = _engine(path, readonly=True)
        self._writer = writing_engine(path)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="kokino-read")
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="kokino-write", daemon=True)
        self._thread.start()

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on a snapshot; see `Storage.read`."""
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, fn)

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in the next commit; see `Storage.write`."""
        self._check_open()
        write = _Write(fn)
        self._queue.put(write)
        value: T = await asyncio.wrap_future(write.future)
        return value

    async def close(self) -> None:
        """Commit what waits, then close the file."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._readers.shutdown()
        self._reader.dispose()
        self._writer.dispose()

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("the database is closed: the broker is stopping")

    def _read(self, fn: Callable[[Connection], T]) -> T:
        try:
            with self._reader.connect() as conn, conn.begin():
                return fn(conn)
        except DBAPIError as error:
            raise _explained(self.path, error) from error

    def _run(self) -> None:
        # One connection for the writer's whole life: it is the only one that checkpoints.
        with self._writer.connect() as conn:
            while (first := self._queue.get()) is not None:
                batch, is_last = self._gather(first)
                self._commit(conn, batch)
                if is_last:
                    return

    def _gather(self, first: _Write) -> tuple[list[_Write], bool]:
        batch = [first]
        while len(batch) < LARGEST_BATCH:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return _wanted(batch), True
            batch.append(following)
        return _wanted(batch), False

    def _commit(self, conn: Connection, batch: list[_Write]) -> None:
        try:
            with conn.begin():
                for write in batch:
                    _apply(conn, write)
        except BaseException as error:  # noqa: BLE001 - whatever it was, every waiting caller must hear of it
            # After a COMMIT that failed, SQLite may hold the transaction still; SQLAlchemy thinks it over.
            _driver(conn).rollback()
            failure = _explained(self.path, error)
            for write in batch:
                write.future.set_exception(failure)
            return
        for write in batch:
            if write.error is None:
                write.future.set_result(write.value)
            else:
                write.future.set_exception(write.error)


def _wanted(batch: list[_Write]) -> list[_Write]:
    """Leave out what its caller has given up on; from here on the rest can no longer be cancelled."""
    return [write for write in batch if write.future.set_running_or_notify_cancel()]


def _apply(conn: Connection, write: _Write) -> None:
    savepoint = conn.begin_nested()
    try:
        write.value = write.fn(conn)
    except Exception as error:
        # A full disk or a broken file fails the whole batch: SQLite has undone all of it already, or will.
        if _is_about_the_file(error) or not _driver(conn).in_transaction:
            raise
        savepoint.rollback()
        write.error = error  # handed to its caller; the others' work stands
    else:
        savepoint.commit()


def _driver(conn: Connection) -> sqlite3.Connection:
    """The driver's own connection, which knows what SQLite has made of the transaction."""
    driver = conn.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - for the type: the engine below makes no other
    return driver


def _is_about_the_file(error: Exception) -> bool:
    """True where the next write would fail alike; a faulty statement or value is its own writer's alone."""
    of_the_statement = sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.DataError
    said = error.orig if isinstance(error, DBAPIError) else None
    if not isinstance(said, sqlite3.DatabaseError) or isinstance(said, of_the_statement):
        return False
    return getattr(said, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR


def _explained(path: Path, error: BaseException) -> StorageError:
    """Say what happened to the file, and what to do next."""
    said = str(getattr(error, "orig", None) or error)
    if "locked" in said or "busy" in said:
        advice = "another program holds it; close that one (fuser tells which), then try again"
    elif "full" in said:
        advice = "free some space; nothing that was acknowledged is lost"
    elif "malformed" in said or "not a database" in said:
        advice = "the file is damaged; keep a copy, then restore the latest backup in its place"
    elif "readonly" in said or "unable to open" in said:
        advice = "check that its folder exists and may be written by this user"
    else:
        advice = "see the broker's log for the whole error"
    return StorageError(f"{path}: {said}: {advice}")


def writing_engine(path: Path) -> Engine:
    """Connections that write, each of its transactions begun as such: what else writes waits."""
    return _engine(path, readonly=False)


def _engine(path: Path, *, readonly: bool) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool if readonly else NullPool,
        # We say BEGIN ourselves, below: the driver's own guess when to begin breaks savepoints.
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": BUSY_TIMEOUT_MS / 1000},
        **({"pool_size": READERS, "max_overflow": 0} if readonly else {}),
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
