"""Facts about this installation that outlive every broker."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from kokino.storage.schema import installation


def identity(conn: Connection, fresh: str) -> str:
    """The installation's own id; `fresh` becomes it where there is none yet."""
    known = conn.scalar(select(installation.c.value).where(installation.c.key == "id"))
    if known is not None:
        return str(known)
    conn.execute(insert(installation).values(key="id", value=fresh))
    return fresh
