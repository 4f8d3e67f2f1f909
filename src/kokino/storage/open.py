"""Open a database by its URL, and bring it to the present schema first."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from kokino.errors import StorageError
from kokino.storage import postgresql, sqlite
from kokino.storage.base import Storage
from kokino.storage.claim import claim_file
from kokino.storage.migrate import migrate
from kokino.storage.postgresql import PostgresqlStorage
from kokino.storage.reading import LookedInto
from kokino.storage.sqlite import SqliteStorage

#: How long to wait for another program's lock before saying that it holds one, in seconds.
PATIENCE = 5.0


def default_url(home: Path) -> str:
    """The embedded database of a home folder."""
    return f"sqlite:///{home / 'broker' / 'data' / 'kokino.db'}"


async def open_storage(url: str, *, alone: bool = True) -> Storage:
    """Open, migrate and return the database at `url`.

    A broker opens it `alone`: a second one is refused until the first has closed it, or has died. Who only
    wants to look beside a broker opens it not alone, and is never refused for that.

    Raises `StorageError` for a URL that is not one, a server that does not answer, a file that is damaged,
    locked or in a folder that may not be written, and a database that another broker uses.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        return await asyncio.to_thread(_open_sqlite, parsed, alone=alone)
    return await asyncio.to_thread(_open_postgresql, parsed, alone=alone)


def look_into(url: str) -> LookedInto:
    """The database at `url`, read as it is. Raises `StorageError` as `check_url` does, and without a file."""
    opened = LookedInto(_parsed(url))
    if opened.file is not None and not opened.file.is_file():
        raise StorageError(
            f"{opened.file} does not exist: there is nothing to look at; name the broker's --home"
        )
    return opened


def file_of(url: str) -> Path | None:
    """The file of a SQLite database; None for a server's. Raises `StorageError` as `check_url` does."""
    parsed = _parsed(url)
    return Path(str(parsed.database)).resolve() if parsed.get_backend_name() == "sqlite" else None


def check_url(url: str) -> None:
    """Raise `StorageError` for a URL that no database of ours can have; whether it answers is not asked."""
    _parsed(url)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise StorageError(f"storage.url is no database URL: {error}") from error
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            return parsed
        case "postgresql":
            return parsed.set(drivername="postgresql+psycopg")
    raise StorageError(
        f"storage.url starts with {parsed.drivername!r}:"
        " use sqlite:///path/to/kokino.db or postgresql://host/name"
    )


def _open_sqlite(url: URL, *, alone: bool) -> Storage:
    # As SQLite itself does: whoever comes by a symbolic link must find the same log, and the same claim.
    path = Path(str(url.database)).resolve()
    with _told(path), contextlib.ExitStack() as failing:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        claim = failing.enter_context(claim_file(path)) if alone else None
        with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as conn:
            _probe(conn, path)
        path.chmod(0o600)
        writing = sqlite.writing_engine(path)
        failing.callback(writing.dispose)
        migrate(writing)
        failing.pop_all()
    return SqliteStorage(path, writing, claim=claim)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say what is wrong with the file, and what to do next."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror}: choose another home or give this user the folder"
        ) from error
    except (sqlite3.DatabaseError, DBAPIError) as error:
        raise _cannot_open(path, error) from error


def _probe(conn: sqlite3.Connection, path: Path) -> None:
    """Find out now, not at the first execution, that the file is whole and ours to write."""
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("BEGIN IMMEDIATE")
    conn.execute("ROLLBACK")
    verdict = conn.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise StorageError(f"{path}: the file is damaged ({' '.join(verdict.split())}): {_restore(path)}")


def _restore(path: Path) -> str:
    """What to do about a damaged file. The names of backups tell when they were made."""
    folder = path.parent / "backups"
    latest = max(folder.glob("*.db"), default=None)
    which = f"{folder} has none" if latest is None else f"the latest is {latest}"
    return (
        f"put a backup in its place with `kokino integrity restore FILE`, same --home ({which}), or move it"
        " aside and start again for an empty one"
    )


def _cannot_open(path: Path, error: Exception) -> StorageError:
    said = str(getattr(error, "orig", None) or error)
    if "locked" in said:
        return StorageError(
            f"{path}: the database is locked by another program:"
            f" stop it (fuser {path} tells which) and start again"
        )
    if "not a database" in said or "malformed" in said:
        return StorageError(f"{path}: the file is damaged ({said}): {_restore(path)}")
    return StorageError(f"{path}: {said}")


def _open_postgresql(url: URL, *, alone: bool) -> Storage:
    writing = postgresql.writing_engine(url, alone=alone)
    with contextlib.ExitStack() as failing:
        failing.callback(writing.dispose)
        try:
            # Who waits to migrate must then see what was migrated meanwhile.
            migrate(writing.execution_options(isolation_level="READ COMMITTED"))
        except DBAPIError as error:
            shown = url.render_as_string(hide_password=True)
            raise StorageError(
                f"{shown}: {error.orig}: is the server up, and may this user log in?"
            ) from error
        failing.pop_all()
    return PostgresqlStorage(url, writing)
