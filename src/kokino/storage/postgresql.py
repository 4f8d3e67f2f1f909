"""PostgreSQL: SERIALIZABLE transactions, run again when the server says that they collided."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError

from kokino.errors import StorageError

T = TypeVar("T")

#: Connections, and threads to use them.
POOL = 8
#: Collisions are rare and short; a transaction that lost this often is told so.
ATTEMPTS = 12
#: First pause after a collision, in seconds; doubles, with full jitter.
FIRST_PAUSE = 0.005
#: serialization_failure and deadlock_detected.
RETRIED = frozenset({"40001", "40P01"})


class PostgresqlStorage:
    """A PostgreSQL database that several brokers may share."""

    dialect = "postgresql"

    def __init__(self, url: URL) -> None:
        self._where = url.render_as_string(hide_password=True)
        self._engine: Engine = create_engine(
            url, pool_size=POOL, max_overflow=0, pool_pre_ping=True, isolation_level="SERIALIZABLE"
        )
        self._threads = ThreadPoolExecutor(POOL, thread_name_prefix="kokino-pg")
        self._closed = False

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on a snapshot; see `Storage.read`."""
        return await self._in_thread(self._read, fn)

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` until it commits; see `Storage.write`."""
        pause = FIRST_PAUSE
        for _ in range(ATTEMPTS):
            try:
                return await self._in_thread(self._write, fn)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in RETRIED:
                    raise
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - jitter, not a secret
            pause *= 2
        raise StorageError(f"{self._where}: the transaction collided {ATTEMPTS} times; try again")

    async def close(self) -> None:
        """Wait for what runs, then close all connections."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()

    async def _in_thread(
        self, call: Callable[[Callable[[Connection], T]], T], fn: Callable[[Connection], T]
    ) -> T:
        if self._closed:
            raise StorageError("the database is closed: the broker is stopping")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call, fn)
        except InternalError as error:
            raise StorageError(f"{self._where}: {error.orig}") from error
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) in RETRIED:
                raise
            raise StorageError(f"{self._where}: {error.orig}: is the server up?") from error

    def _read(self, fn: Callable[[Connection], T]) -> T:
        with self._engine.connect() as conn:
            # A snapshot is enough to read by, and a REPEATABLE READ one is never rolled back.
            conn = conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with conn.begin():
                return fn(conn)

    def _write(self, fn: Callable[[Connection], T]) -> T:
        with self._engine.connect() as conn, conn.begin():
            return fn(conn)
