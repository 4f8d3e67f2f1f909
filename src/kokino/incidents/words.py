"""Times, lengths and shares as a person writes them."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

_UNITS = ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute"))


def length(duration: timedelta) -> str:
    """``23 minutes``, ``1 hour 5 minutes``, ``40 seconds``: the two largest units, rounded down."""
    words = []
    left = duration
    for unit, name in _UNITS:
        count, left = divmod(left, unit)
        if count:
            words.append(_counted(count, name))
    return " ".join(words[:2]) or _counted(int(left.total_seconds()), "second")


def share(value: float) -> str:
    """``98.2 %`` for 0.982. Rounded towards the middle: only all is 100 %, only nothing is 0 %."""
    percent = round(value * 100, 1)
    if value < 1:
        percent = min(percent, 99.9)
    if value > 0:
        percent = max(percent, 0.1)
    return f"{percent:g} %"


def instant(at: datetime, zone: tzinfo) -> str:
    """``2026-01-05 09:00 UTC``."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def _counted(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
