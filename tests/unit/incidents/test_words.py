"""Times, lengths and shares as a person writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from kokino.incidents import words


@pytest.mark.parametrize(
    ("duration", "said"),
    [
        (timedelta(minutes=23), "23 minutes"),
        (timedelta(minutes=23, seconds=59), "23 minutes"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(), "0 seconds"),
        (timedelta(hours=1, minutes=5), "1 hour 5 minutes"),
        (timedelta(days=2, hours=3, minutes=9), "2 days 3 hours"),
    ],
)
def test_a_length_has_its_two_largest_units(duration: timedelta, said: str) -> None:
    """Nobody reads the seconds of a day."""
    assert words.length(duration) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param(0.982, "98.2 %", id="one decimal"),
        pytest.param(0.9999, "99.9 %", id="not all is never 100 %"),
        pytest.param(1.0, "100 %", id="all is"),
        pytest.param(0.00001, "0.1 %", id="something is never 0 %"),
        pytest.param(0.0, "0 %", id="nothing is"),
    ],
)
def test_a_share_never_claims_more_than_there_is(value: float, said: str) -> None:
    """Rounding must not turn a failure into none."""
    assert words.share(value) == said


def test_an_instant_names_its_time_zone() -> None:
    """A time without its zone is a guess."""
    at = datetime(2026, 7, 5, 9, 0, tzinfo=UTC)
    assert words.instant(at, UTC) == "2026-07-05 09:00 UTC"
    assert words.instant(at, ZoneInfo("Europe/Berlin")) == "2026-07-05 11:00 CEST"
