"""Columns mean the same on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from sqlalchemy.dialects import sqlite

from kokino.storage.types import Instant

DIALECT = sqlite.dialect()


def test_an_instant_is_kept_as_whole_milliseconds_of_utc() -> None:
    """Whatever zone it came in; what is smaller than a millisecond is cut."""
    berlin = datetime(2026, 1, 5, 10, 0, 0, 1999, tzinfo=timezone(timedelta(hours=1)))
    kept = Instant().process_bind_param(berlin, DIALECT)
    assert kept == 1767603600001
    assert Instant().process_result_value(kept, DIALECT) == datetime(2026, 1, 5, 9, 0, 0, 1000, tzinfo=UTC)


def test_no_instant_is_none() -> None:
    """Both ways."""
    assert Instant().process_bind_param(None, DIALECT) is None
    assert Instant().process_result_value(None, DIALECT) is None
