"""Silences in the database. Every function runs inside `Storage.read` or `Storage.write`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, tuple_

from kokino.alerts.matcher import Matcher
from kokino.alerts.silence import Silence
from kokino.errors import NotFound
from kokino.storage.schema import silences


def add(conn: Connection, silence: Silence) -> None:
    """Write down a new silence."""
    documents = [matcher.to_document() for matcher in silence.matchers]
    conn.execute(silences.insert().values({**asdict(silence), "matchers": documents}))


def get(conn: Connection, silence_id: str) -> Silence:
    """One silence. Raises `NotFound`."""
    row = conn.execute(select(silences).where(silences.c.silence_id == silence_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no silence {silence_id!r}; GET /api/silences lists them")
    return _silence(row)


def active(conn: Connection, *, now: datetime) -> list[Silence]:
    """Those that keep alerts quiet at `now`, the next to end first."""
    query = select(silences).where(silences.c.ended_at.is_(None), silences.c.ends_at > now)
    return [_silence(row) for row in conn.execute(query.order_by(silences.c.ends_at, silences.c.silence_id))]


def page(conn: Connection, *, limit: int, after: str | None = None) -> list[Silence]:
    """At most `limit` silences, the newest first; `after` is the last one of an earlier answer."""
    query = select(silences).order_by(silences.c.created_at.desc(), silences.c.silence_id.desc())
    if after is not None:
        last = select(silences.c.created_at, silences.c.silence_id).where(silences.c.silence_id == after)
        query = query.where(tuple_(silences.c.created_at, silences.c.silence_id) < last.scalar_subquery())
    return [_silence(row) for row in conn.execute(query.limit(limit))]


def end(conn: Connection, silence_id: str, *, at: datetime) -> bool:
    """End a silence; False when it was over already."""
    open_one = (silences.c.silence_id == silence_id) & silences.c.ended_at.is_(None)
    changed = conn.execute(silences.update().where(open_one, silences.c.ends_at > at).values(ended_at=at))
    return changed.rowcount > 0


def note_notice(conn: Connection, silence_id: str, *, at: datetime) -> None:
    """People were told that it is about to end."""
    conn.execute(silences.update().where(silences.c.silence_id == silence_id).values(noticed_at=at))


def _silence(row: Row[Any]) -> Silence:
    values = {name: getattr(row, name) for name in Silence.__slots__}
    return Silence(**{**values, "matchers": tuple(map(Matcher.from_document, row.matchers))})
