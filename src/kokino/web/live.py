"""Tells open pages what changed: one reading a second for all of them, and none while nobody looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from kokino.api import sse
from kokino.clock import EPOCH, Clock, iso
from kokino.storage import Storage
from kokino.tasks import Tasks
from kokino.web import render
from kokino.web.panels import Panels, View

log = structlog.get_logger(__name__)

#: Seconds from one reading to the next, of the machine's time: it is people who look.
INTERVAL = 1.0


@dataclass(slots=True)
class _Watched:
    """A view that somebody looks at."""

    view: View
    listeners: int = 0
    panels: Panels = field(default_factory=dict)
    #: The inside of each panel, as of the last change.
    html: dict[str, str] = field(default_factory=dict)
    #: How often it was read, and when last. A failure changes neither: the page sees that it waits.
    readings: int = 0
    read_at: datetime = EPOCH


class Live:
    """Reads the views that are looked at, and gives each listener the panels that it has not yet seen so."""

    def __init__(self, storage: Storage, clock: Clock, *, interval: float = INTERVAL) -> None:
        self._storage = storage
        self._clock = clock
        self._interval = interval
        self._watched: dict[str, _Watched] = {}
        self._tasks = Tasks()
        self._ticked = asyncio.Condition()
        #: True while the views are read; False once nobody has looked for one interval.
        self.is_reading = False
        self._is_stopped = False

    @property
    def listeners(self) -> int:
        """How many pages are open."""
        return sum(watched.listeners for watched in self._watched.values())

    async def follow(self, view: View) -> AsyncGenerator[bytes, None]:
        """Server-sent events: ``panel`` with a panel's name and inside, then ``now`` with the broker's time.

        A new listener gets every panel once: what changed since its page was rendered is among them. One that
        reads slowly skips to the latest state, so nothing piles up for it.
        """
        watched = self._join(view)
        seen: dict[str, str] = {}
        readings = 0
        try:
            while not self._is_stopped:
                for name, html in list(watched.html.items()):
                    # The very same string: rendered once, for everybody.
                    if seen.get(name) is not html:
                        yield sse.event("panel", {"name": name, "html": html})
                        seen[name] = html
                if watched.readings > readings:
                    yield sse.event("now", iso(watched.read_at))
                    readings = watched.readings
                await self._next_tick()
        finally:
            self._leave(watched)

    async def stop(self) -> None:
        """End every stream and the reading; pages try to come back by themselves."""
        self._is_stopped = True
        await self._tasks.stop()
        await self._tell()

    async def _next_tick(self) -> None:
        async with self._ticked:
            # A stop that came while something was sent has told everybody already.
            if not self._is_stopped:
                await self._ticked.wait()

    def _join(self, view: View) -> _Watched:
        watched = self._watched.setdefault(view.key, _Watched(view))
        watched.listeners += 1
        if not self.is_reading and not self._is_stopped:
            self.is_reading = True
            self._tasks.start(self._keep_reading(), name="dashboard")
        return watched

    def _leave(self, watched: _Watched) -> None:
        watched.listeners -= 1
        if not watched.listeners:
            self._watched.pop(watched.view.key, None)

    async def _keep_reading(self) -> None:
        """Until nobody looks any more."""
        while self._watched:
            for watched in list(self._watched.values()):
                try:
                    await self._read(watched)
                except Exception:
                    # Whatever it was, the next reading may succeed; until then that page says that it waits.
                    log.exception("a page could not be read", page=watched.view.key)
            await self._tell()
            await asyncio.sleep(self._interval)
        # Nothing is awaited since the look at the listeners: whoever comes now starts a new reading.
        self.is_reading = False

    async def _tell(self) -> None:
        async with self._ticked:
            self._ticked.notify_all()

    async def _read(self, watched: _Watched) -> None:
        now = self._clock.now()
        panels = await self._storage.read(lambda conn: watched.view.read(conn, now))
        for name, panel in panels.items():
            if name not in watched.html or watched.panels[name] != panel:
                watched.html[name] = render.fragment(name, panel, now=now)
        watched.panels, watched.read_at = panels, now
        watched.readings += 1
