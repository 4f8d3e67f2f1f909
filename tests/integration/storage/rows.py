"""The simplest rows that there are to write and to read back."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, insert, select

from kokino.storage.schema import installation


def note(key: str, value: str = "") -> Callable[[Connection], None]:
    """Writes one row."""

    def write(conn: Connection) -> None:
        conn.execute(insert(installation).values(key=key, value=value))

    return write


def keys(conn: Connection) -> set[str]:
    """The rows that are there."""
    return set(conn.scalars(select(installation.c.key)))
