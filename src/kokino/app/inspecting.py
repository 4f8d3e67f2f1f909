"""Look at a home's database without its broker: read as it is, with nothing written down."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kokino.api.integrity_shapes import checked_shape, stats_shape
from kokino.api.shapes import Shape
from kokino.app.recovery import backups_of, url_of
from kokino.clock import Stopwatch
from kokino.config import Faults, load
from kokino.errors import StorageError
from kokino.ids import RandomIds
from kokino.integrity.backups import Backups
from kokino.integrity.checks import look_at_rows
from kokino.integrity.files import look_at_files
from kokino.integrity.model import Report, Trigger
from kokino.integrity.seen import Seen
from kokino.integrity.standing import Standing, standing, unreadable
from kokino.storage import look_into
from kokino.storage.reading import LookedInto

#: Who asked, in a report that nobody keeps.
BY = "kokino integrity check --home"


def check(home: Path, environment: Mapping[str, str], *, now: datetime) -> dict[str, Any]:
    """What ``GET /api/integrity/check`` would answer; a broker may run.

    Raises `KokinoError` where there is no database, and for one of another version whose file is whole.
    """
    watch = Stopwatch()
    seen = asyncio.run(_look(look_into(_url(home, environment))))
    return _json(checked_shape(_report(seen, now, timedelta(seconds=watch.seconds))))


def stats(home: Path, environment: Mapping[str, str], *, limit: int) -> dict[str, Any]:
    """What ``GET /api/integrity/stats`` would answer; the next check is none, for who would make it?

    Of a database of another version only the backups are told. Raises `KokinoError` where there is none.
    """
    config, faults = load(home), Faults()
    backups = backups_of(config, environment, faults)
    faults.raise_if_any()
    found = asyncio.run(_standing(look_into(_url(home, environment)), backups, limit=limit))
    return _json(stats_shape(found, backups.folder, None))


async def _standing(storage: LookedInto, backups: Backups, *, limit: int) -> Standing:
    try:
        await storage.check_version()
    except StorageError as error:  # what its tables hold would be told wrongly, or not at all
        return await unreadable(backups, error.message)
    return await standing(storage, backups, limit=limit)


async def _look(storage: LookedInto) -> Seen:
    """The file first: a damaged one may not tell of which version it is."""
    seen = Seen()
    if storage.file is None:
        await storage.check_version()
    await look_at_files(storage, seen)
    if seen.total == 0:
        await storage.check_version()
    await look_at_rows(storage, seen)
    return seen


def _report(seen: Seen, now: datetime, took: timedelta) -> Report:
    return seen.report(
        check_id=RandomIds().new("check"), trigger=Trigger.ASKED, by=BY, started_at=now, took=took
    )


def _url(home: Path, environment: Mapping[str, str]) -> str:
    faults = Faults()
    url = url_of(load(home), environment, faults)
    faults.raise_if_any()
    return url


def _json(shape: Shape) -> dict[str, Any]:
    return shape.model_dump(mode="json", by_alias=True)
