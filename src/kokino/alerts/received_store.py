"""What Alertmanagers said. Every function runs inside `Storage.read` or `Storage.write`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from kokino.alerts.received import Told
from kokino.storage.schema import received_alerts


def find(conn: Connection, fingerprint: str) -> Told | None:
    """What was last said of one alert, or None for one that nobody spoke of."""
    query = select(received_alerts).where(received_alerts.c.fingerprint == fingerprint)
    row = conn.execute(query).one_or_none()
    return None if row is None else _told(row)


def firing(conn: Connection, until: datetime) -> Sequence[Told]:
    """All that fire by what was said before `until`."""
    query = select(received_alerts).where(received_alerts.c.is_firing, received_alerts.c.at < until)
    return [_told(row) for row in conn.execute(query.order_by(received_alerts.c.fingerprint))]


def save(conn: Connection, told: Told) -> None:
    """Write down what was said."""
    values, name = asdict(told), told.fingerprint
    known = conn.execute(received_alerts.update().where(received_alerts.c.fingerprint == name).values(values))
    if not known.rowcount:
        conn.execute(received_alerts.insert().values({**values, "fingerprint": name}))


def _told(row: Row[Any]) -> Told:
    return Told(**{name: getattr(row, name) for name in Told.__slots__})
