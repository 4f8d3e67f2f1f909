"""The SQLite file itself: is it whole, a copy while it is in use, and a copy put in its place.

Everything here blocks, and looks at a database in use by connections of its own: a file that Python opened
and closed would drop the locks that SQLite holds on it in this process.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kokino.errors import StorageError
from kokino.storage.claim import claim_file
from kokino.storage.revision import check_known, revision_in

#: Faults that one look tells of; the file is as damaged by the first.
MOST_FAULTS = 20
#: Steps of SQLite's machine between two looks whether the caller has given up: some milliseconds.
LOOK_UP = 200_000
#: Pages that one step of a copy takes: 4 MiB. The copy stands in one read transaction and never begins anew.
PAGES = 1024
#: Files that belong to a database in WAL mode.
COMPANIONS = ("-wal", "-shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did."""

    #: The database, whose content is that of the backup now.
    path: Path
    #: Where the file is that was there before; None where there was none.
    kept: Path | None


def faults_in(path: Path, given_up: threading.Event | None = None) -> list[str]:
    """What ``PRAGMA integrity_check`` says of a file; empty for one that is whole.

    By a connection of its own: one that has read before may have the page in memory as it was. Reads a
    snapshot, so whoever writes is not held up. Raises `StorageError` where the file cannot be read at all
    for another reason than damage, or the caller gave up.
    """
    try:
        with _reading(path, given_up) as conn:
            rows = conn.execute(f"PRAGMA integrity_check({MOST_FAULTS})").fetchall()
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            return [str(error)]
        raise StorageError(f"{path}: {error}: the file could not be looked at") from error
    return [str(row[0]) for row in rows if row[0] != "ok"]


def back_up(path: Path, target: Path, given_up: threading.Event | None = None) -> None:
    """Copy a database that may be in use to `target`, whole or not at all, and check the copy.

    Raises `StorageError`: no space, a folder that may not be written, a copy that is not whole.
    """
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _need_space(path, target.parent)
        with contextlib.ExitStack() as failing:
            failing.callback(unfinished.unlink, missing_ok=True)
            # Private from its first byte on: prompts and answers are in it.
            os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            _copy(path, unfinished, given_up)
            if faults := faults_in(unfinished):  # a copy is as whole as what was copied
                raise StorageError(
                    f"{path}: the database is damaged ({faults[0]}), so no backup was made: put an earlier"
                    f" one of {target.parent} in its place with `kokino integrity restore FILE`"
                )
            check_whole(unfinished)
            _settle(unfinished, target)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{target}: the backup was not made: {error}") from error


def check_whole(path: Path) -> None:
    """Raise `StorageError` for what is no whole database of Kokino's."""
    _revision_in(path)


def check_restorable(path: Path) -> None:
    """Raise `StorageError` as `check_whole` does, and for a schema that this version would not open."""
    check_known(_revision_in(path), str(path))


def _revision_in(path: Path) -> str:
    if not path.is_file():
        raise StorageError(
            f"{path}: there is no such file; `kokino integrity stats --home` lists the backups"
        )
    if faults := faults_in(path):
        raise StorageError(f"{path}: this file is damaged itself ({faults[0]}): use an older backup")
    try:
        with _reading(path, None) as conn:
            found = revision_in(conn)
    except sqlite3.Error as error:
        raise StorageError(f"{path}: this cannot be read as a database: {error}") from error
    if found is None:
        raise StorageError(f"{path}: this is no database of Kokino's, or was never finished: use a backup")
    return found


def restore(backup: Path, path: Path, *, aside: str) -> Restored:
    """Put a copy of `backup` in the place of the database at `path`, which no broker may use meanwhile.

    What was there is kept with `aside` behind its name, its log too, and never deleted. Raises
    `StorageError`, and then everything is as it was; so it is when this is interrupted, or killed.
    """
    check_restorable(backup)
    if path.exists() and path.samefile(backup):
        raise StorageError(f"{path}: this is the database itself; name a backup")
    fresh = path.with_name(f".{path.name}.restoring")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with claim_file(path), contextlib.ExitStack() as failing:
            failing.callback(fresh.unlink, missing_ok=True)
            _need_space(backup, path.parent)
            os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            _copy(backup, fresh, None)
            check_whole(fresh)
            return Restored(path=path, kept=_replace(fresh, path, aside))
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{path}: the backup was not restored: {error}") from error


def _replace(fresh: Path, path: Path, aside: str) -> Path | None:
    """At every moment there is a whole database at `path`: the old one, then by one rename the new one.

    The log goes before that: a database is never there beside the log of another. So it is folded into the
    old one first, and whoever is killed in between has lost nothing.
    """
    kept = path.with_name(f"{path.name}.{aside}")
    if kept.exists():
        raise StorageError(f"{kept} is there already: move it away, then try again")
    try:
        _keep(path, kept)
        _fold_in(path)
        for ending in COMPANIONS:
            Path(f"{path}{ending}").unlink(missing_ok=True)
        _settle(fresh, path)
    except BaseException:  # Ctrl-C too
        if fresh.exists():  # else the new one is in its place
            _put_back(path, kept)
        raise
    return kept if kept.exists() else None


def _keep(path: Path, kept: Path) -> None:
    """Give what is there a second name, and its log a copy: that is cut short where it is folded in."""
    log = Path(f"{path}-wal")
    if log.exists():
        shutil.copy2(log, f"{kept}-wal")
    if not path.exists():
        return
    try:
        os.link(path, kept)
    except OSError:  # a file system without second names
        shutil.copy2(path, kept)


def _fold_in(path: Path) -> None:
    """Write what is in the log into its database, as the next start would. A damaged one may not take it."""
    log = Path(f"{path}-wal")
    if path.exists() and log.exists():
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as conn:
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _put_back(path: Path, kept: Path) -> None:
    log, kept_log = Path(f"{path}-wal"), Path(f"{kept}-wal")
    if kept_log.exists() and not log.exists():
        kept_log.rename(log)
    kept_log.unlink(missing_ok=True)
    kept.unlink(missing_ok=True)


def _copy(source: Path, target: Path, given_up: threading.Event | None) -> None:
    def look(_status: int, _remaining: int, _total: int) -> None:
        if given_up is not None and given_up.is_set():
            raise StorageError(f"{target}: the backup was given up: the broker is stopping")

    with _reading(source, given_up) as reading, contextlib.closing(sqlite3.connect(target)) as writing:
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
        reading.backup(writing, pages=PAGES, progress=look, sleep=0)
        # A log beside a backup would be lost when it is copied elsewhere.
        writing.execute("PRAGMA journal_mode=DELETE")


def _settle(unfinished: Path, target: Path) -> None:
    """Give it its name once it is on the disk."""
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.rename(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _need_space(source: Path, folder: Path) -> None:
    needed, free = _size(source), shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{folder}: {free / 1e6:,.0f} MB are free and a copy takes {needed / 1e6:,.0f}: free some space"
        )


def _size(path: Path) -> int:
    """With what is still in its log."""
    found: Sequence[Path] = [Path(f"{path}{ending}") for ending in ("", "-wal")]
    return sum(one.stat().st_size for one in found if one.exists())


@contextlib.contextmanager
def _reading(path: Path, given_up: threading.Event | None) -> Iterator[sqlite3.Connection]:
    uri = f"{path.resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as conn:
        if given_up is not None:
            conn.set_progress_handler(given_up.is_set, LOOK_UP)
        yield conn


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
