"""Whether each value is one that its column holds: SQLite keeps text in a column of numbers, unasked.

Whoever reads such a value fails by it. Only another program writes one, or a disk that fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    Integer,
    String,
    case,
    false,
    func,
    or_,
    select,
    type_coerce,
)

from kokino.clock import to_ms
from kokino.storage.schema import metadata
from kokino.storage.types import Instant

#: The years 1 to 9999, in milliseconds since 1970.
_EARLIEST = to_ms(datetime.min.replace(tzinfo=UTC))
_LATEST = to_ms(datetime.max.replace(tzinfo=UTC))
#: What SQLite says of the values that a column of that type holds.
_TYPES: tuple[tuple[type[Any] | tuple[type[Any], ...], tuple[str, ...]], ...] = (
    ((Integer, BigInteger, Boolean, Instant), ("integer",)),
    (Float, ("real", "integer")),
    ((String, JSON), ("text",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfits:
    """The rows of one table with a value that one column of it cannot hold."""

    table: str
    column: str
    count: int
    #: The primary keys of the first of them, as text: ``exec-1/7``.
    ids: Sequence[str]


def misfits(conn: Connection, *, limit: int) -> Iterator[Misfits]:
    """What is wrong, column by column, with at most `limit` ids each. Only reads, but all of every table."""
    for table in metadata.sorted_tables:
        for column in table.columns:
            fault = _fault(column, conn.dialect.name)
            count = conn.scalar(select(func.count()).select_from(table).where(fault)) or 0
            if count:
                # As they are: a key may be what is wrong.
                own = [type_coerce(one, String) for one in table.primary_key.columns]
                rows = conn.execute(select(*own).where(fault).limit(limit)).all()
                ids = ["/".join(map(str, row)) for row in rows]
                yield Misfits(table=table.name, column=column.name, count=count, ids=ids)


def _fault(column: Column[Any], dialect: str) -> ColumnElement[bool]:
    faults: list[ColumnElement[bool]] = []
    if dialect == "sqlite":
        faults += _of_type(column)
    if isinstance(column.type, Instant):
        faults.append(~type_coerce(column, BigInteger).between(_EARLIEST, _LATEST))
    return column.is_not(None) & or_(false(), *faults)


def _of_type(column: Column[Any]) -> Iterator[ColumnElement[bool]]:
    held = next((words for types, words in _TYPES if isinstance(column.type, types)), None)
    if held is not None:
        yield func.typeof(column).not_in(held)
    if isinstance(column.type, JSON):
        # Of anything but text some versions refuse to say so.
        yield case((func.typeof(column) == "text", func.json_valid(column)), else_=1) == 0
