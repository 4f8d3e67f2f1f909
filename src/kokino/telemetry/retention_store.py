"""Which events and sums are too old to be kept."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select

from kokino.storage.schema import events, rollups
from kokino.storage.shelf import Shelf
from kokino.telemetry.model import Scope
from kokino.telemetry.windows import LENGTHS


def _is_older_event(than: datetime) -> ColumnElement[bool]:
    """The newest one stays: SQLite would give its number to the next event, which who reads on would miss."""
    newest = select(func.max(events.c.event_id)).scalar_subquery()
    return and_(events.c.at < than, events.c.event_id < newest)


def _is_older_bucket(than: datetime) -> ColumnElement[bool]:
    """A bucket is as old as its end. What was ever counted has no length, and is never too old.

    The scope is said again with each grain: only so SQLite looks each of them up in the index.
    """
    return or_(
        *(
            and_(
                rollups.c.scope == scope.value,
                rollups.c.grain == grain.value,
                rollups.c.bucket_at <= than - length,
            )
            for scope in Scope
            for grain, length in LENGTHS.items()
        )
    )


EVENTS: Final = Shelf(table=events, is_older=_is_older_event)
ROLLUPS: Final = Shelf(table=rollups, is_older=_is_older_bucket)
