"""When a receiver asks to be left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kokino.notify.channels.http import parse_retry_after

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "length"),
    [
        pytest.param(None, None, id="no header"),
        pytest.param("120", timedelta(minutes=2), id="seconds"),
        pytest.param(" 0 ", timedelta(), id="at once"),
        pytest.param("Mon, 05 Jan 2026 09:05:00 GMT", timedelta(minutes=5), id="a date"),
        pytest.param("Mon, 05 Jan 2026 08:00:00 GMT", timedelta(), id="a date that has passed"),
        pytest.param("9" * 400, timedelta(seconds=999_999_999), id="more digits than there is time"),
        pytest.param("-5", None, id="a negative length is none"),
        pytest.param("1.5", None, id="nor is a fraction"),
        pytest.param("soon", None, id="nor a word"),
        pytest.param("²", None, id="nor a digit that is no number"),
        pytest.param("", None, id="nor nothing"),
    ],
)
def test_parse_retry_after(value: str | None, length: timedelta | None) -> None:
    """Seconds or an HTTP date (RFC 9110); what is neither is not heard."""
    assert parse_retry_after(value, NOW) == length
