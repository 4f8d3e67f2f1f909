"""Which comparisons are too old to be kept: as long as the events that tell of them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement

from kokino.storage.schema import comparisons
from kokino.storage.shelf import Shelf


def _is_older(than: datetime) -> ColumnElement[bool]:
    return comparisons.c.ended_at < than


COMPARISONS: Final = Shelf(table=comparisons, is_older=_is_older)
