"""A clock that a test moves by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

from kokino.clock import from_ms, iso, to_ms


class ManualClock:
    """Stands still until `advance` or `move_to`. For tests and drills; one event loop only."""

    def __init__(self, start: datetime = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)) -> None:
        self._now = from_ms(to_ms(start))
        self._order = itertools.count()
        self._waiting: list[tuple[datetime, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    async def sleep_until(self, instant: datetime) -> None:
        if instant <= self._now:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (instant, next(self._order), future))
        await future

    def next_wake(self) -> datetime | None:
        """The earliest instant that somebody sleeps for, or None."""
        while self._waiting and self._waiting[0][2].done():
            heapq.heappop(self._waiting)
        return self._waiting[0][0] if self._waiting else None

    def move_to(self, instant: datetime) -> None:
        """Set the time and wake, in order, everybody who waited for it. Never backwards."""
        instant = from_ms(to_ms(instant))
        if instant < self._now:
            raise ValueError(f"time does not go back: it is {iso(self._now)}, asked for {iso(instant)}")
        self._now = instant
        while self._waiting and self._waiting[0][0] <= instant:
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)

    def advance(self, **lengths: float) -> None:
        """Move forward by `timedelta(**lengths)`."""
        self.move_to(self._now + timedelta(**lengths))
