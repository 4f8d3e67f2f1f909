"""What executions changed is kept for a time, as patches; then its folder goes, however large it is."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy import Connection

from kokino.executions import summary_store
from kokino.storage import Storage

log = structlog.get_logger(__name__)

#: How long after its end an execution's changes can be told and undone.
KEPT = timedelta(days=30)
#: How often folders are looked through.
INTERVAL = timedelta(hours=1)
#: Folders that are removed at a time, so that the engine's other work is not held up; the rest waits a while.
AT_ONCE = 100
SOON = timedelta(minutes=1)
#: Ids that are asked for in one query: SQLite takes no more than 32766 values.
ASKED = 1000


class ChangeSweep:
    """The engine's module that removes the folders of executions that ended long ago, and of unknown ones."""

    name = "changes"

    def __init__(self, storage: Storage, folder: Path) -> None:
        self._storage = storage
        self._folder = folder
        self._due_at: datetime | None = None

    async def run(self, now: datetime) -> datetime | None:
        """Remove what is old enough, once in an hour."""
        if self._due_at is None or self._due_at <= now:
            stale = await self._stale(now)
            for name in stale[:AT_ONCE]:
                await asyncio.to_thread(shutil.rmtree, self._folder / name, ignore_errors=True)
            self._due_at = now + (SOON if len(stale) > AT_ONCE else INTERVAL)
            if stale:
                log.info("what was changed long ago is no longer kept", executions=len(stale[:AT_ONCE]))
        return self._due_at

    async def _stale(self, now: datetime) -> Sequence[str]:
        # Listed before anything is asked: an execution is in the database before it has a folder.
        names = await asyncio.to_thread(_folders_in, self._folder)
        kept = await self._storage.read(lambda conn: _kept(conn, names, now - KEPT))
        return [name for name in names if name not in kept]


def _kept(conn: Connection, names: Sequence[str], since: datetime) -> set[str]:
    portions = (names[start : start + ASKED] for start in range(0, len(names), ASKED))
    return {name for portion in portions for name in summary_store.not_ended_before(conn, portion, since)}


def _folders_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    except FileNotFoundError:
        return []
