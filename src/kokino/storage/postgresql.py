"""PostgreSQL: one writing session whose transactions are SERIALIZABLE, and readers on snapshots."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError

from kokino.errors import StorageError
from kokino.storage.claim import claimant
from kokino.storage.session_claim import claim_session
from kokino.storage.writer import Blame, Writer
from kokino.storage.writes import Writes

T = TypeVar("T")

#: Connections that read, and threads to use them.
READERS = 8
#: Writes that may share one commit: beyond 64 savepoints in a transaction, every other session's snapshot
#: gets dearer (PostgreSQL's cache of subtransactions overflows).
LARGEST_BATCH = 64
#: serialization_failure and deadlock_detected.
COLLISIONS = frozenset({"40001", "40P01"})
#: unique_violation: may be by a row that the function could not see when it looked.
UNIQUE_VIOLATION = "23505"
#: Starts of SQLSTATEs that are the server's: out of resources, shutting down, broken, or a standby.
SERVERS_OWN = ("53", "57P", "58", "XX", "25006")


class PostgresqlStorage:
    """A PostgreSQL database."""

    dialect = "postgresql"

    def __init__(self, url: URL, writing: Engine) -> None:
        """`writing` is a `writing_engine` of the same `url`, the storage's own from here on."""
        self._where = url.render_as_string(hide_password=True)
        self._reader: Engine = create_engine(
            url,
            pool_size=READERS,
            max_overflow=0,
            pool_pre_ping=True,
            # A snapshot is enough to read by, and a REPEATABLE READ one is never rolled back.
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
        )
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="kokino-read")
        self._writer = Writer(writing, blame=blame, explained=self._explained, largest_batch=LARGEST_BATCH)
        self._closed = False

    @property
    def file(self) -> Path | None:
        """None: it is the server's."""
        return None

    @property
    def where(self) -> str:
        """Its address without the password."""
        return self._where

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
        """Commit what waits, then close all connections."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._readers.shutdown)
        self._reader.dispose()

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("the database is closed: the broker is stopping")

    def _read(self, fn: Callable[[Connection], T]) -> T:
        try:
            with self._reader.connect() as conn, conn.begin():
                return fn(conn)
        except (InternalError, OperationalError) as error:
            raise self._explained(error) from error

    def _explained(self, error: BaseException) -> StorageError:
        if isinstance(error, StorageError):  # refused the claim again, after its connection was lost
            return error
        said, state = str(getattr(error, "orig", None) or error).strip(), _state(error)
        if state in COLLISIONS:
            advice = "it lost against other programs' transactions each time; try again"
        elif state.startswith("53"):
            advice = "the server is short of space, memory or connections"
        elif isinstance(error, OperationalError):
            advice = "is the server up?"
        else:
            advice = "see the broker's log for the whole error"
        return StorageError(f"{self._where}: {said}: {advice}")


def writing_engine(url: URL, *, alone: bool) -> Engine:
    """The one connection that writes; where `alone`, it holds the claim too.

    So nothing can be committed without the claim: should the session be lost, the claim is lost with it, and
    the next connection must get it first.
    """
    engine = create_engine(
        url,
        pool_size=1,
        max_overflow=0,
        pool_pre_ping=True,
        isolation_level="SERIALIZABLE",
        connect_args={"application_name": claimant()},
    )
    if alone:

        @event.listens_for(engine, "connect")
        def claim(connection: psycopg.Connection, _record: object) -> None:
            try:
                claim_session(connection, url.render_as_string(hide_password=True))
            except BaseException:
                connection.close()
                raise

    return engine


def blame(error: BaseException) -> Blame:
    """Whom an error of a write concerns."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return Blame.DATABASE
    state = _state(error)
    if state in COLLISIONS:
        return Blame.COLLISION
    if state == UNIQUE_VIOLATION:
        return Blame.SNAPSHOT
    return Blame.DATABASE if state.startswith(SERVERS_OWN) else Blame.CALLER


def _state(error: BaseException) -> str:
    """The SQLSTATE; empty where the server has not spoken."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""
