"""Which changes of alerts, and which silences, are too old to be kept."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, exists

from kokino.alerts.model import Phase
from kokino.storage.schema import alert_transitions, alerts, silences
from kokino.storage.shelf import Shelf


def _is_older_change(than: datetime) -> ColumnElement[bool]:
    """What an episode began with stays as long as it goes on: its end is told with its beginning."""
    goes_on = exists().where(
        alerts.c.alert_id == alert_transitions.c.alert_id,
        alerts.c.episode_id == alert_transitions.c.episode_id,
        alerts.c.state == Phase.FIRING.value,
    )
    return and_(alert_transitions.c.at < than, ~goes_on)


def _is_older_silence(than: datetime) -> ColumnElement[bool]:
    return silences.c.ends_at < than


CHANGES: Final = Shelf(table=alert_transitions, is_older=_is_older_change)
SILENCES: Final = Shelf(table=silences, is_older=_is_older_silence)
