"""Cut a window into whole days, hours and minutes, and the edges that only the events can tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from kokino.clock import EPOCH


class Grain(StrEnum):
    """The length of a rollup bucket."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    #: Everything since 1970, for counters that only grow.
    EVER = "ever"


#: Coarsest first, as windows are cut.
LENGTHS = {
    Grain.DAY: timedelta(days=1),
    Grain.HOUR: timedelta(hours=1),
    Grain.MINUTE: timedelta(minutes=1),
}


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch of time: `since` belongs to it, `until` does not."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Cut:
    """A window as pieces that neither overlap nor leave a gap."""

    #: Whole buckets, read from the rollups: at most 59 + 23 + 29 + 23 + 59 = 193 rows for 30 days.
    buckets: tuple[tuple[Grain, Span], ...]
    #: At most two parts of a minute, read from the events.
    edges: tuple[Span, ...]


def floor(at: datetime, grain: Grain) -> datetime:
    """The start of the bucket that `at` falls in."""
    if grain is Grain.EVER:
        return EPOCH
    return at - (at - EPOCH) % LENGTHS[grain]


def ceiling(at: datetime, grain: Grain) -> datetime:
    """The first start of a bucket that is not before `at`."""
    start = floor(at, grain)
    return start if start == at else start + LENGTHS[grain]


def cut(since: datetime, until: datetime) -> Cut:
    """The window [since, until) in pieces; none for an empty one."""
    outside = [Span(since, until)] if since < until else []
    buckets: list[tuple[Grain, Span]] = []
    for grain in LENGTHS:
        outside = [left for span in outside for left in _take(grain, span, buckets)]
    return Cut(tuple(buckets), tuple(outside))


def _take(grain: Grain, span: Span, buckets: list[tuple[Grain, Span]]) -> list[Span]:
    """Move the whole buckets of `span` to `buckets`, and return what is left before and after them."""
    first, last = ceiling(span.since, grain), floor(span.until, grain)
    if first >= last:
        return [span]
    buckets.append((grain, Span(first, last)))
    return [left for left in (Span(span.since, first), Span(last, span.until)) if left.since < left.until]
