"""Which deliveries are too old to be kept; their attempts go with them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_

from kokino.notify.model import DeliveryState
from kokino.notify.store import OPEN
from kokino.storage.schema import deliveries
from kokino.storage.shelf import Shelf

_FINAL = [state.value for state in DeliveryState if state not in OPEN]


def _is_older(than: datetime) -> ColumnElement[bool]:
    return and_(deliveries.c.state.in_(_FINAL), deliveries.c.due_at < than)


DELIVERIES: Final = Shelf(table=deliveries, is_older=_is_older)
