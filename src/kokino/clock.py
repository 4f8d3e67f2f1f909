"""The only place that asks what time it is.

Everything else is handed a `Clock`, or an instant as an argument. Instants are aware UTC datetimes cut to
whole milliseconds, the resolution that storage keeps: a value compares equal before and after a round trip.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal, Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def to_ms(instant: datetime) -> int:
    """Milliseconds since 1970 of an aware datetime, rounded down."""
    return (instant - EPOCH) // MILLISECOND


def from_ms(ms: int) -> datetime:
    """The aware UTC datetime of so many milliseconds since 1970."""
    return EPOCH + timedelta(milliseconds=ms)


def iso(instant: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and a ``Z``, as the API writes times."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def spoken(instant: datetime) -> str:
    """For a sentence: ``2026-01-05 09:00:00 UTC``."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def local_zone(instant: datetime) -> tzinfo:
    """The machine's time zone, as it stands at `instant`."""
    zone = instant.astimezone().tzinfo
    return UTC if zone is None else zone


class Clock(Protocol):
    """Tells the time and waits for it."""

    def now(self) -> datetime:
        """The present instant, aware, UTC, whole milliseconds."""
        ...

    async def sleep_until(self, instant: datetime) -> None:
        """Return at `instant`, at once if it has passed."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return from_ms(time.time_ns() // 1_000_000)

    async def sleep_until(self, instant: datetime) -> None:
        while (left := (instant - self.now()).total_seconds()) > 0:
            # A wall clock may be set while we sleep: look again at least once a minute.
            await asyncio.sleep(min(left, 60))


class ScaledClock:
    """Runs `scale` times as fast as the machine's clock, from `start`. For demonstrations that say so."""

    def __init__(self, scale: float, start: datetime | None = None) -> None:
        if scale <= 0:
            raise ValueError(f"scale must be above 0, got {scale}")
        self.scale = scale
        self._start = start or SystemClock().now()
        self._zero = time.monotonic()

    def now(self) -> datetime:
        elapsed = timedelta(seconds=(time.monotonic() - self._zero) * self.scale)
        return from_ms(to_ms(self._start + elapsed))

    async def sleep_until(self, instant: datetime) -> None:
        while (left := (instant - self.now()).total_seconds()) > 0:
            await asyncio.sleep(left / self.scale)


class Stopwatch:
    """Tells how long something takes on this machine: of that a virtual clock knows nothing."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since it was made."""
        return time.perf_counter() - self._started


async def wait_for_either(event: asyncio.Event, clock: Clock, instant: datetime | None) -> None:
    """Return when `event` is set, or at `instant` if that comes first; None waits for the event alone."""
    waits = [asyncio.ensure_future(event.wait())]
    if instant is not None:
        waits.append(asyncio.ensure_future(_true_at(clock, instant)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _true_at(clock: Clock, instant: datetime) -> Literal[True]:
    await clock.sleep_until(instant)
    return True
