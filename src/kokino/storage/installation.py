"""Facts about this installation that outlive every broker."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from kokino.clock import iso
from kokino.storage.schema import installation


def identity(conn: Connection, fresh: str) -> str:
    """The installation's own id; `fresh` becomes it where there is none yet."""
    known = conn.scalar(select(installation.c.value).where(installation.c.key == "id"))
    if known is not None:
        return str(known)
    conn.execute(insert(installation).values(key="id", value=fresh))
    return fresh


def note_beat(conn: Connection, now: datetime) -> None:
    """Write down that the database took something at `now`."""
    known = installation.c.key == "heartbeat_at"
    if not conn.execute(update(installation).where(known).values(value=iso(now))).rowcount:
        conn.execute(insert(installation).values(key="heartbeat_at", value=iso(now)))
