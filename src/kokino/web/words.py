"""Figures and times as the pages write them."""

from __future__ import annotations

from datetime import datetime, timedelta

from kokino.alerts.words import percent

#: What stands where there is nothing to say.
NOTHING = "\N{EN DASH}"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def share(value: float | None) -> str:
    """``99.81 %``: cut, not rounded, so that a share under its target never looks equal to it."""
    return NOTHING if value is None else percent(value)


def target(value: float) -> str:
    """``99.5 %``: as few decimals as it has."""
    return f"{round(value * 100, 4):g} %"


def times(rate: float | None) -> str:
    """``14.4`` and a multiplication sign: how many times faster than allowed the error budget goes."""
    return NOTHING if rate is None else f"{rate:.1f}\N{MULTIPLICATION SIGN}"


def minutes(value: float | None) -> str:
    """``213 min``, ``12.4 min``: one decimal where it matters."""
    if value is None:
        return NOTHING
    return f"{value:.0f} min" if value >= 100 or value == int(value) else f"{value:.1f} min"


def milliseconds(value: int | None) -> str:
    """``840 ms``, ``12.4 s``, ``3 min 20 s``."""
    if value is None:
        return NOTHING
    if value < 1_000:
        return f"{value} ms"
    return f"{value / 1_000:.1f} s" if value < 60_000 else length(timedelta(milliseconds=value))


def length(duration: timedelta) -> str:
    """``42 s``, ``3 min 20 s``, ``2 h 5 min``: the two largest units, rounded down, never under 0."""
    left = max(0, int(duration.total_seconds()))
    parts = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    if left or not parts:
        parts.append(f"{left} s")
    return " ".join(parts[:2])


def ago(at: datetime, now: datetime) -> str:
    """``just now``, ``5 min ago``, ``in 40 s``: one unit. `static/live.js` counts on in the same words."""
    left = int((now - at).total_seconds())
    if abs(left) < 2:
        return "just now"
    size, unit = next((one for one in _UNITS if abs(left) >= one[0]), (1, "s"))
    count = f"{abs(left) // size} {unit}"
    return f"{count} ago" if left > 0 else f"in {count}"


def counted(count: int, noun: str) -> str:
    """``1 agent``, ``3 agents``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def cut(text: str, longest: int) -> str:
    """The first `longest` characters, and how many more there are."""
    return text if len(text) <= longest else f"{text[:longest]}\n… {len(text) - longest:,} more characters"
