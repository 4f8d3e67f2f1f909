"""Open a database by its URL, and bring it to the present schema first."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from kokino.errors import StorageError
from kokino.storage import sqlite
from kokino.storage.base import Storage
from kokino.storage.claim import claim_file
from kokino.storage.reading import LookedInto
from kokino.storage.revision import check_known, head, revision_in, revision_of
from kokino.storage.sqlite import SqliteStorage

#: How long to wait for another program's lock before saying that it holds one, in seconds.
PATIENCE = 5.0
#: How long a look may take that opens nothing for good, in seconds. A start takes what it needs.
GLANCE = 30.0


class DamagedFile(StorageError):
    """The file of a database is damaged; says what to do about it."""

    def __init__(self, path: Path, said: str) -> None:
        """`said` is what SQLite says."""
        folder = path.parent / "backups"
        #: The latest one to restore; None where there is none.
        self.backup = _latest(folder)
        which = f"{folder} has none" if self.backup is None else f"the latest is {self.backup}"
        super().__init__(
            f"{path}: the file is damaged ({said}): put a backup in its place with `kokino integrity restore"
            f" FILE`, same --home ({which}), or move it aside and start again for an empty one"
        )


def _latest(folder: Path) -> Path | None:
    """The newest backup, by its name; None without any. What else lies there is none of ours.

    One for a cleanup holds what was wrong then: it is the last resort.
    """
    found = sorted(folder.glob("kokino-*Z-*.db"))
    whole = [one for one in found if "-cleanup" not in one.name]
    return max(whole or found, default=None)


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


def check_opens(url: str) -> None:
    """Raise `StorageError` where the database could not be opened as it is now; nothing is changed or made.

    A file that is not there yet is no fault. Damage is looked for as `open_storage` does, but for `GLANCE`
    seconds at the most: what is larger than that passes. A server must answer. Blocks; never for a file
    that this process has open, for it would lose its locks.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        _check_file(Path(str(parsed.database)).resolve())
    else:
        _check_server(parsed)


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
        _bring_up_to_date(writing, str(path))
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


def _bring_up_to_date(engine: Engine, where: str) -> None:
    with engine.connect() as conn:
        found = revision_of(conn)
    if found == head():
        return
    check_known(found, where)
    # Late: it takes a twelfth of the time to start, and is needed once for each new version.
    from kokino.storage.migrate import migrate  # noqa: PLC0415

    migrate(engine)


def _probe(conn: sqlite3.Connection, path: Path) -> None:
    """Find out now, not at the first execution, that the file is whole and ours to write."""
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("BEGIN IMMEDIATE")
    conn.execute("ROLLBACK")
    _check_pages(conn, path)


def _check_pages(conn: sqlite3.Connection, path: Path) -> None:
    verdict = conn.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise DamagedFile(path, " ".join(verdict.split()))


def _check_file(path: Path) -> None:
    with _told(path):
        if not path.exists():
            return
        # Nobody has a file open that has no log; to look at it as at one in use would leave a log beside it.
        how = "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?{how}", uri=True)) as conn:
            _glance(conn, path)
            check_known(revision_in(conn), str(path))


def _glance(conn: sqlite3.Connection, path: Path) -> None:
    given_up = threading.Event()

    def give_up() -> None:
        given_up.set()
        conn.interrupt()

    timer = threading.Timer(GLANCE, give_up)
    timer.start()
    try:
        _check_pages(conn, path)
    except (sqlite3.OperationalError, StorageError):
        # A look that was interrupted may miss the pages that it has not come to.
        if not given_up.is_set():
            raise
    finally:
        timer.cancel()
        timer.join()


def _cannot_open(path: Path, error: Exception) -> StorageError:
    said = str(getattr(error, "orig", None) or error)
    if "locked" in said:
        return StorageError(
            f"{path}: the database is locked by another program:"
            f" stop it (fuser {path} tells which) and start again"
        )
    if "not a database" in said or "malformed" in said:
        return DamagedFile(path, said)
    return StorageError(f"{path}: {said}")


def _open_postgresql(url: URL, *, alone: bool) -> Storage:
    from kokino.storage import postgresql  # noqa: PLC0415 - most brokers have no server to talk to

    writing = postgresql.writing_engine(url, alone=alone)
    with contextlib.ExitStack() as failing:
        failing.callback(writing.dispose)
        with _server_told(url):
            # Who waits to migrate must then see what was migrated meanwhile.
            _bring_up_to_date(
                writing.execution_options(isolation_level="READ COMMITTED"),
                url.render_as_string(hide_password=True),
            )
        failing.pop_all()
    return postgresql.PostgresqlStorage(url, writing)


def _check_server(url: URL) -> None:
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": int(GLANCE)})
    with _server_told(url), engine.connect() as conn:
        check_known(revision_of(conn), url.render_as_string(hide_password=True))


@contextlib.contextmanager
def _server_told(url: URL) -> Iterator[None]:
    """Say which server it is, and what to look at."""
    try:
        yield
    except DBAPIError as error:
        shown = url.render_as_string(hide_password=True)
        raise StorageError(f"{shown}: {error.orig}: is the server up, and may this user log in?") from error
