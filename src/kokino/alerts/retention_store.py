"""Which alerts and changes of them, and which silences, are too old to be kept."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, exists

from kokino.alerts.model import Phase
from kokino.storage.schema import alert_transitions, alerts, received_alerts, silences
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


def _is_older_alert(than: datetime) -> ColumnElement[bool]:
    """Of what others tell the labels may be new ones each time. It goes after all that it did has gone."""
    has_history = exists().where(alert_transitions.c.alert_id == alerts.c.alert_id)
    return and_(alerts.c.state == Phase.RESOLVED.value, alerts.c.since < than, ~has_history)


def _is_older_word(than: datetime) -> ColumnElement[bool]:
    return received_alerts.c.at < than


ALERTS: Final = Shelf(table=alerts, is_older=_is_older_alert)
RECEIVED: Final = Shelf(table=received_alerts, is_older=_is_older_word)
CHANGES: Final = Shelf(table=alert_transitions, is_older=_is_older_change)
SILENCES: Final = Shelf(table=silences, is_older=_is_older_silence)
