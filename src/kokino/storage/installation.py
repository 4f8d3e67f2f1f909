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
    note_instant(conn, "heartbeat_at", now)


def noted_instant(conn: Connection, key: str) -> datetime | None:
    """The instant that was noted under `key`; None where there is none yet."""
    value = conn.scalar(select(installation.c.value).where(installation.c.key == key))
    return None if value is None else datetime.fromisoformat(value)


def note_instant(conn: Connection, key: str, instant: datetime) -> None:
    """Write an instant down under `key`, in the place of an earlier one."""
    known = installation.c.key == key
    if not conn.execute(update(installation).where(known).values(value=iso(instant))).rowcount:
        conn.execute(insert(installation).values(key=key, value=iso(instant)))
