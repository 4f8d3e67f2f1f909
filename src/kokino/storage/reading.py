"""Look into a database as it is: not made, not migrated, not written to; a broker may have it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.pool import NullPool

from kokino.errors import StorageError
from kokino.storage.revision import check_known, head, revision_of

T = TypeVar("T")


class LookedInto:
    """A database that somebody looks into; nothing is kept open between two reads."""

    def __init__(self, url: URL) -> None:
        """`url` must be one that `open_storage` takes; whether it answers is not asked yet."""
        self._where = url.render_as_string(hide_password=True)
        is_sqlite = url.get_backend_name() == "sqlite"
        self._file = Path(str(url.database)).resolve() if is_sqlite else None
        self._engine = _sqlite(self._file) if self._file else _postgresql(url)

    @property
    def file(self) -> Path | None:
        """The file that it is in; None for a server's."""
        return self._file

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on a snapshot; see `Reading.read`."""
        return await asyncio.to_thread(self._read, fn)

    async def check_version(self) -> None:
        """Raise `StorageError` for a database that this version of Kokino would migrate, or does not know."""
        found, wanted = await self.read(revision_of), head()
        where = str(self._file or self._where)
        check_known(found, where)
        if found != wanted:
            raise StorageError(
                f"{where}: its schema is {found or 'none of Kokino'}, and this command"
                f" knows {wanted}: start this version's broker on it, which migrates it, and ask that"
            )

    def _read(self, fn: Callable[[Connection], T]) -> T:
        try:
            with self._engine.connect() as conn, conn.begin():
                return fn(conn)
        except ProgrammingError:
            raise  # the caller's: a function that this user may not call
        except DBAPIError as error:
            said = str(error.orig or error).strip()
            raise StorageError(f"{self._file or self._where}: {said}") from error


def _sqlite(path: Path) -> Engine:
    # Not even what is in the log is folded into the file by one that may only read.
    uri = f"{path.as_uri()}?mode=ro"
    engine = create_engine(
        "sqlite://",
        poolclass=NullPool,
        creator=lambda: sqlite3.connect(uri, uri=True, isolation_level=None),
    )
    event.listen(engine, "begin", lambda conn: conn.exec_driver_sql("BEGIN"))
    return engine


def _postgresql(url: URL) -> Engine:
    return create_engine(
        url,
        poolclass=NullPool,
        isolation_level="REPEATABLE READ",
        execution_options={"postgresql_readonly": True},
    )
