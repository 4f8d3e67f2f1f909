"""Rows that are kept for a time only: which may go, found by a reader, and deleted by their keys alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, bindparam, select


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """One table whose old rows are deleted."""

    table: Table
    #: True of the rows that may go once all from before an instant may.
    is_older: Callable[[datetime], ColumnElement[bool]]
    #: Deletes what nothing would account for once rows with these keys are gone, in their transaction.
    with_them: Callable[[Connection, Sequence[Row[Any]]], None] | None = None

    @property
    def name(self) -> str:
        """The table's."""
        return self.table.name

    def find(self, conn: Connection, *, than: datetime, limit: int) -> Sequence[Row[Any]]:
        """The keys of rows that may go, at most `limit`. Only reads: no writer waits for the search."""
        query = select(*self.table.primary_key.columns).where(self.is_older(than))
        return conn.execute(query.limit(limit)).all()

    def delete(self, conn: Connection, keys: Sequence[Row[Any]], *, than: datetime) -> None:
        """Delete the rows that `find` has found, but for those that are in use again since then."""
        if self.with_them is not None:
            self.with_them(conn, keys)
        columns = [(column, f"key_{column.name}") for column in self.table.primary_key.columns]
        is_it = (column == bindparam(name) for column, name in columns)
        statement = self.table.delete().where(*is_it, self.is_older(than))
        names = [name for _, name in columns]
        conn.execute(statement, [dict(zip(names, key, strict=True)) for key in keys])
