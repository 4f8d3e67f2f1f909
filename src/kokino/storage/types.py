"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Dialect, Integer
from sqlalchemy.types import TypeDecorator

from kokino.clock import from_ms, to_ms

#: A counting key: SQLite only counts by itself in a column of exactly this type.
Serial = BigInteger().with_variant(Integer(), "sqlite")

#: A JSON document; absent is SQL NULL, never the JSON word null.
Document = JSON(none_as_null=True)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime, kept as whole milliseconds since 1970.

    An integer orders and subtracts alike in both databases; SQLite has no time type of its own, and its
    text forms compare wrongly as soon as their precision differs.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_ms(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_ms(value)
