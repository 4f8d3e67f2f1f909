"""Backups of a SQLite file: where they are, what they are called, which of them stay."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path

from kokino.errors import Conflict
from kokino.integrity.thread import in_thread
from kokino.storage import sqlitefile

#: Below the database's own folder.
FOLDER = "backups"


class Why(StrEnum):
    """What a backup was made for: those of the night are kept by number, the others for a time."""

    NIGHTLY = "nightly"
    ASKED = "asked"
    CLEANUP = "cleanup"


#: ``kokino-20260105T033000Z-nightly.db``; a second one in that second has ``-2`` before the ending.
_NAME = re.compile(rf"kokino-(\d{{8}}T\d{{6}})Z-({'|'.join(Why)})(?:-(\d+))?\.db")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One backup."""

    path: Path
    made_at: datetime
    why: Why
    size_bytes: int
    #: Of several that were made within one second.
    number: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Backups:
    """The backups of one database."""

    #: The database; None for a server's, which is not ours to copy.
    database: Path | None
    #: How many of those of the night stay, the newest one always; 0 makes none at night.
    keep: int
    #: How long the others stay: that of a cleanup alone holds what was deleted.
    keep_asked: timedelta

    @property
    def wants_nightly(self) -> bool:
        """True where there is one to be made each night."""
        return self.database is not None and self.keep > 0

    @property
    def folder(self) -> Path | None:
        """Where they are."""
        return None if self.database is None else self.database.parent / FOLDER

    def list(self) -> list[Backup]:
        """All of them, the newest first. Blocks for the time of a look into a folder."""
        if self.folder is None or not self.folder.is_dir():
            return []
        found = [_backup(path) for path in self.folder.iterdir()]
        known = [backup for backup in found if backup is not None]
        return sorted(known, key=lambda one: (one.made_at, one.number), reverse=True)

    async def make(self, why: Why, now: datetime) -> Backup:
        """Copy the database, check the copy, then let go of those that are too many.

        Raises `Conflict` for a server's database, and `StorageError` where the copy could not be made.
        """
        if self.database is None or self.folder is None:
            raise Conflict(
                "this database is a PostgreSQL server's: back it up with pg_dump, see docs/integrity.md"
            )
        path = _free(self.folder, now, why)

        def make(database: Path, given_up: threading.Event) -> Sequence[str]:
            sqlitefile.back_up(database, path, given_up)
            self._thin_out(path, why, now)
            return ()

        await in_thread(partial(make, self.database))
        return Backup(path=path, made_at=now, why=why, size_bytes=path.stat().st_size)

    def _thin_out(self, made: Path, why: Why, now: datetime) -> None:
        """Never the one that was just made: after the clock was set back it is not the newest by its name."""
        others = [one for one in self.list() if one.path != made]
        by_night = [one for one in others if one.why is Why.NIGHTLY] if why is Why.NIGHTLY else []
        old = [one for one in others if one.why is not Why.NIGHTLY and one.made_at < now - self.keep_asked]
        for surplus in (*by_night[max(self.keep - 1, 0) :], *old):
            surplus.path.unlink(missing_ok=True)


def _free(folder: Path, now: datetime, why: Why) -> Path:
    """A name that no backup has."""
    stem = f"kokino-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{why.value}"
    names = itertools.chain([f"{stem}.db"], (f"{stem}-{number}.db" for number in itertools.count(2)))
    return next(folder / name for name in names if not (folder / name).exists())


def _backup(path: Path) -> Backup | None:
    """What a file in the folder is; None for one that is none of ours, or has just been let go of."""
    named = _NAME.fullmatch(path.name)
    if named is None:
        return None
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return None
    made_at = datetime.strptime(named[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return Backup(
        path=path,
        made_at=made_at,
        why=Why(named[2]),
        size_bytes=size,
        number=int(named[3] or 1),
    )
