"""When the nightly check is due."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
#: What switches it off.
OFF = "off"


def parse_time(said: str) -> time | None:
    """``"03:30"`` as a time of the day, ``"off"`` as None. Raises `ValueError` for what is neither."""
    if said == OFF:
        return None
    found = _TIME.fullmatch(said)
    if found is None:
        raise ValueError('must be a time of the day such as "03:30", or "off"')
    return time(int(found[1]), int(found[2]))


def next_after(instant: datetime, at: time, zone: ZoneInfo) -> datetime:
    """The first instant after `instant` at which it is `at` in `zone`.

    Once for each date there: an hour that comes twice counts at its first time, and one that is left out
    counts as if the clock had not been set.
    """
    day = instant.astimezone(zone).date()
    while (due := datetime.combine(day, at, tzinfo=zone).astimezone(UTC)) <= instant:
        day += timedelta(days=1)
    return due
