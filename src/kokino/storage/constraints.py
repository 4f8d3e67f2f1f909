"""Whether what the schema declares holds: rows whose foreign key leads nowhere.

Both databases refuse such a row, so there is one only where somebody wrote past that: by a program that does
not switch ``foreign_keys`` on in SQLite, or with triggers disabled in PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Table, bindparam, exists, func, select

from kokino.storage.schema import metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A foreign key that the schema declares."""

    child: Column[Any] = field(repr=False)
    parent: Column[Any] = field(repr=False)
    #: Deleting the parent deletes the row: one that outlived its parent was to go.
    goes_with_parent: bool

    @property
    def table(self) -> str:
        """The table that holds the key."""
        return str(self.child.table.name)

    @property
    def name(self) -> str:
        """``records.execution_id``."""
        return f"{self.table}.{self.child.name}"

    @property
    def target(self) -> str:
        """``executions.execution_id``."""
        return f"{self.parent.table.name}.{self.parent.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The rows of one table whose key leads nowhere."""

    key: Key
    count: int
    #: The primary keys of the first of them, as text: ``exec-1/7``.
    ids: Sequence[str]


def declared() -> Iterator[Key]:
    """Every foreign key, table by table."""
    for table in metadata.sorted_tables:
        for key in sorted(table.foreign_keys, key=lambda one: one.parent.name):
            yield Key(child=key.parent, parent=key.column, goes_with_parent=key.ondelete == "CASCADE")


def broken(conn: Connection, key: Key, *, limit: int) -> Broken | None:
    """What is wrong with one key, with at most `limit` ids; None where nothing is. Only reads."""
    count = conn.scalar(select(func.count()).select_from(key.child.table).where(_leads_nowhere(key))) or 0
    if not count:
        return None
    return Broken(
        key=key, count=count, ids=["/".join(map(str, row)) for row in broken_rows(conn, key, limit=limit)]
    )


def broken_rows(conn: Connection, key: Key, *, limit: int) -> Sequence[Row[Any]]:
    """The primary keys of at most `limit` rows whose key leads nowhere. Only reads, but all of the table."""
    own = list(_table(key).primary_key.columns)
    return conn.execute(select(*own).where(_leads_nowhere(key)).order_by(*own).limit(limit)).all()


def delete_broken(conn: Connection, rows: Sequence[Row[Any]], *, key: Key) -> int:
    """Delete those of these `broken_rows` that still have no parent; how many.

    Raises `ValueError` for a key whose rows are not to go with their parent.
    """
    if not key.goes_with_parent:
        raise ValueError(f"{key.name}: a row of it stays when its parent goes")
    columns = _table(key).primary_key.columns
    own = [column == bindparam(f"key_{column.name}") for column in columns]
    names = [f"key_{column.name}" for column in columns]
    # The condition once more: what has a parent is never deleted, whatever was read before.
    statement = _table(key).delete().where(*own, _leads_nowhere(key))
    return conn.execute(statement, [dict(zip(names, row, strict=True)) for row in rows]).rowcount


def _table(key: Key) -> Table:
    return metadata.tables[key.table]


def _leads_nowhere(key: Key) -> ColumnElement[bool]:
    found = exists(select(1).select_from(key.parent.table).where(key.parent == key.child))
    return key.child.is_not(None) & ~found.correlate(key.child.table)
