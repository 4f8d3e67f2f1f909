"""When a night's work is due."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from kokino.integrity.schedule import next_after, parse_time


def utc(said: str) -> datetime:
    """An instant."""
    return datetime.fromisoformat(said).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "at", "instant", "due"),
    [
        pytest.param("UTC", time(3, 30), "2026-01-05T03:29", "2026-01-05T03:30", id="today"),
        pytest.param("UTC", time(3, 30), "2026-01-05T03:30", "2026-01-06T03:30", id="just begun"),
        pytest.param("Asia/Tokyo", time(3, 30), "2026-01-05T20:00", "2026-01-06T18:30", id="tomorrow there"),
        pytest.param("Europe/Berlin", time(2, 30), "2026-03-29T00:00", "2026-03-29T01:30", id="left out"),
        pytest.param("Europe/Berlin", time(2, 30), "2026-10-25T00:29", "2026-10-25T00:30", id="first of two"),
        pytest.param(
            "Europe/Berlin", time(2, 30), "2026-10-25T00:30", "2026-10-26T01:30", id="not the second"
        ),
    ],
)
def test_it_is_due_once_on_each_date_of_the_zone(zone: str, at: time, instant: str, due: str) -> None:
    """Whatever is done to the clocks there."""
    assert next_after(utc(instant), at, ZoneInfo(zone)) == utc(due)


def test_a_time_is_written_with_two_digits_each() -> None:
    """Or it is switched off."""
    assert parse_time("03:30") == time(3, 30)
    assert parse_time("off") is None


@pytest.mark.parametrize("said", ["3:30", "24:00", "03:60", "", "never", "03:30:00"])
def test_what_is_no_time_is_refused(said: str) -> None:
    """With what would be one."""
    with pytest.raises(ValueError, match='"03:30"'):
        parse_time(said)
