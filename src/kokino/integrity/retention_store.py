"""Which integrity checks are too old to be kept."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, func, select

from kokino.storage.schema import integrity_checks
from kokino.storage.shelf import Shelf


def _is_older(than: datetime) -> ColumnElement[bool]:
    """The newest one stays: it is what is known of the database."""
    newest = select(func.max(integrity_checks.c.number)).scalar_subquery()
    return and_(integrity_checks.c.started_at < than, integrity_checks.c.number < newest)


CHECKS: Final = Shelf(table=integrity_checks, is_older=_is_older)
