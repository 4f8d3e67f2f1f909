"""When a quota is full again, read from what a CLI said about it.

The sentences are those of real CLIs: Claude Code ("resets 3pm (Europe/Berlin)", "limit reached|1751234567"),
Codex ("try again at Jul 5th, 2026 8:19 PM", "try again in 3 days 4 hours 5 minutes"), Gemini CLI ("Your quota
will reset after 21h53m56s", "Access resets at 10:57 PM GMT-3"), OpenCode ("retrying in 8h 13m"), and of the
services behind them (Retry-After, retryDelay, resets_at, resets_in_seconds).
Each is a row in tests/unit/agents/test_resets.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from kokino.clock import from_ms

#: A sentence that tells it is short; what is longer is a page of HTML or a stack trace.
LONGEST_TEXT = 4_000
#: What is said to reset at a time that was just now means now, not tomorrow: it took a moment to be said.
JUST_NOW = timedelta(minutes=5)

_EPOCH = re.compile(r"(?P<number>1\d{9}|1\d{12})(?!\d)")
#: What an instant or a length follows, with the few characters that may stand between.
_ANCHOR = re.compile(
    r"""(?: limit\ reached(?=\|)
          | (?P<seconds> retry-after | resets?[-_]in[-_]seconds | resets?[-_]after[-_]seconds )
          | (?P<millis> retry-?after-?ms )
          | (?: resets? | resetting | try(?:ing)?\ again | retrydelay | retry(?:ing)? | available\ again )
            (?: [-_]? (?:at|in|after) )?
        )
        (?: [\s"':=|,·∙.-] | \b(?:access|at|in|after|on)\b )* """,
    re.VERBOSE | re.IGNORECASE,
)
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[t ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)? ?(z|[+-]\d\d:?\d\d)?(?![\d:])", re.IGNORECASE
)
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_PART = re.compile(
    r"""(\d+(?:\.\d+)?)\s*
        (ms|milliseconds? | s|secs?|seconds? | m|mins?|minutes? | h|hrs?|hours? | d|days? | w|weeks?)
        (?![a-z]) (?: \s | , | \band\b )*""",
    re.VERBOSE | re.IGNORECASE,
)
_BARE = re.compile(r"(\d+(?:\.\d+)?)(?![\d:])")
_CLOCK = re.compile(
    r"(?P<word>midnight|noon)|(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?\s*(?P<half>[ap])\.?m\b"
    r"|(?P<hour24>\d{1,2}):(?P<minute24>\d\d)(?::\d\d)?",
    re.IGNORECASE,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_A_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?"
_A_WEEKDAY = rf"(?P<weekday>{'|'.join(_WEEKDAYS)})[a-z]*"
#: Americans put the month first, the headers of HTTP the day.
_DAY = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?P<today>today)|(?P<tomorrow>tomorrow)",
        rf"(?:{_A_WEEKDAY},? )?{_A_MONTH} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:,? (?P<year>20\d\d))?(?!\d)",
        rf"(?:{_A_WEEKDAY},? )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)? {_A_MONTH}(?:,? (?P<year>20\d\d))?(?!\d)",
        _A_WEEKDAY,
    )
)
_BETWEEN = re.compile(r"(?:[\s,]|\b(?:at|on)\b)*", re.IGNORECASE)
_ZONE = re.compile(
    r"\s*\(?(?:(?P<name>[a-z]+/[a-z0-9_+/-]+)|(?P<utc>utc|gmt)(?P<offset>[+-]\d{1,2})?\b)", re.IGNORECASE
)


def resets_at(text: str, now: datetime, zone: tzinfo) -> datetime | None:
    """The instant that a text tells, or None when it tells none; it may lie in the past.

    A time of day that names no zone is one of `zone`: CLIs print the machine's.
    """
    said = " ".join(text[:LONGEST_TEXT].split())
    for anchor in _ANCHOR.finditer(said):
        try:
            found = _told(said[anchor.end() :], anchor, now, zone)
        except (ValueError, OverflowError):
            continue  # the 30th of February, a million years: no instant
        if found is not None:
            return found
    return None


def _told(rest: str, anchor: re.Match[str], now: datetime, zone: tzinfo) -> datetime | None:
    if found := _ISO.match(rest):
        return _of_iso(found, zone)
    if found := _EPOCH.match(rest):
        number = int(found["number"])
        return from_ms(number if number > 10**12 else number * 1_000)
    length = _length(rest, anchor)
    return _moment(rest, now, zone) if length is None else now + length


def _of_iso(found: re.Match[str], zone: tzinfo) -> datetime:
    day, clock, offset = found.groups()
    said = datetime.fromisoformat(f"{day}T{clock}{(offset or '').upper()}")
    return said.replace(tzinfo=said.tzinfo or zone).astimezone(UTC)


def _length(rest: str, anchor: re.Match[str]) -> timedelta | None:
    """``3 days 4 hours``, ``1h49m8s``, or a bare number where the words before it name the unit."""
    parts = list(_parts(rest))
    if parts:
        return timedelta(seconds=sum(parts))
    bare = _BARE.match(rest)
    if bare is None or not (anchor["seconds"] or anchor["millis"]):
        return None
    return timedelta(seconds=float(bare[1]) * (0.001 if anchor["millis"] else 1))


def _parts(rest: str) -> Iterator[float]:
    """The seconds of each number with a unit, one right behind the other."""
    place = 0
    while found := _PART.match(rest, place):
        unit = found[2].lower()
        yield float(found[1]) * _UNITS["ms" if unit.startswith(("ms", "milli")) else unit[0]]
        place = found.end()


def _moment(rest: str, now: datetime, zone: tzinfo) -> datetime | None:
    """``3pm (Europe/Berlin)``, ``Jul 5th, 2026 8:19 PM``, ``6am tomorrow``, ``Thursday``."""
    place, day, clock = 0, None, None
    for _ in range(2):
        between = _BETWEEN.match(rest, place)
        start = between.end() if between else place
        if day is None and (day := _day(rest, start)):
            place = day.end()
        elif clock is None and (clock := _CLOCK.match(rest, start)):
            place = clock.end()
    if day is None and clock is None:
        return None
    zone = _zone(rest, place) or zone
    local = now.astimezone(zone)
    at = time() if clock is None else _time(clock)
    if day is None:
        return _next(local, at)
    return datetime.combine(_date(day, local), at, zone).astimezone(UTC)


def _day(rest: str, start: int) -> re.Match[str] | None:
    return next((found for form in _DAY if (found := form.match(rest, start))), None)


def _next(local: datetime, at: time) -> datetime:
    """The next time that a clock shows `at`."""
    today = datetime.combine(local.date(), at, local.tzinfo)
    if today < local - JUST_NOW:
        today = datetime.combine(local.date() + timedelta(days=1), at, local.tzinfo)
    return today.astimezone(UTC)


def _time(clock: re.Match[str]) -> time:
    if clock["word"]:
        return time(12 if clock["word"].lower() == "noon" else 0)
    if clock["hour24"]:
        return time(int(clock["hour24"]), int(clock["minute24"]))
    is_afternoon = clock["half"].lower() == "p"
    hour = int(clock["hour"])
    if not 1 <= hour <= 12:
        raise ValueError(f"{hour} is no hour of a morning or an afternoon")
    return time(hour % 12 + 12 * is_afternoon, int(clock["minute"] or 0))


def _date(day: re.Match[str], local: datetime) -> date:
    today, said = local.date(), day.groupdict()
    if said.get("month"):
        return _of_month(said, today)
    if said.get("weekday"):
        wanted = _WEEKDAYS.index(said["weekday"].lower())
        return today + timedelta(days=(wanted - today.weekday()) % 7)
    return today + timedelta(days=bool(said["tomorrow"]))


def _of_month(said: Mapping[str, str], today: date) -> date:
    """A date whose year may be left out: then it is the one nearest ahead."""
    month, day = _MONTHS.index(said["month"].lower()) + 1, int(said["day"])
    if said["year"]:
        return date(int(said["year"]), month, day)
    this_year = date(today.year, month, day)
    is_long_past = this_year < today - timedelta(days=180)
    return date(today.year + 1, month, day) if is_long_past else this_year


def _zone(rest: str, place: int) -> tzinfo | None:
    found = _ZONE.match(rest, place)
    if found is None:
        return None
    if found["name"] is None:
        return timezone(timedelta(hours=int(found["offset"] or 0)))
    try:
        return ZoneInfo(found["name"])
    except (OSError, ValueError, KeyError):  # no zone that this machine knows
        return None
