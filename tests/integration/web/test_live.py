from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from kokino.errors import NotFound
from kokino.storage import Storage
from kokino.testing.clock import ManualClock
from kokino.web.live import Live
from kokino.web.panels import Panels, Pulse, Start, View
from tests.integration.web.outage import HOSTILE

PULSE = Pulse(state="ok", severity=None, headline="All is well", agents=1, running=0, queued=0)
START = Start(is_needed=False, url="http://127.0.0.1:5050")
#: Seconds in which anything here happens many times over.
PATIENCE = 20.0


@dataclass(slots=True)
class Page:
    """A view whose panels a test sets."""

    panels: Panels
    readings: int = 0
    fails: bool = False

    def view(self, key: str = "page") -> View:
        """The view of it."""
        return View(key=key, read=self._read)

    def _read(self, _conn: Connection, _now: datetime) -> Panels:
        self.readings += 1
        if self.fails:
            raise NotFound("it went away")
        return dict(self.panels)


def _live(storage: Storage) -> Live:
    return Live(storage, ManualClock(), interval=0.005)


async def _next(stream: AsyncIterator[bytes], name: str) -> object:
    async with asyncio.timeout(PATIENCE):
        async for event in stream:
            kind, _, data = event.decode().strip().partition("\n")
            if kind == f"event: {name}":
                return json.loads(data.removeprefix("data: "))
    raise AssertionError("the stream ended")


async def _until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_new_listener_gets_every_panel(storage: Storage) -> None:
    """Nothing that changed between the page and its stream is missed."""
    live, page = _live(storage), Page({"pulse": PULSE, "start": START})
    async with aclosing(live.follow(page.view())) as stream:
        names = [(await _next(stream, "panel"))["name"] for _ in range(2)]  # type: ignore[index]
    assert names == ["pulse", "start"]


async def test_only_what_changed_is_sent(storage: Storage) -> None:
    """After the first time, a panel comes again only when what it shows is different."""
    live, page = _live(storage), Page({"pulse": PULSE, "start": START})
    async with aclosing(live.follow(page.view())) as stream:
        await _next(stream, "now")
        page.panels = {"pulse": replace(PULSE, running=3), "start": START}
        sent = await _next(stream, "panel")
        assert sent["name"] == "pulse"  # type: ignore[index]
        assert "3 running" in sent["html"]  # type: ignore[index]


async def test_hostile_text_is_escaped_in_an_update_too(storage: Storage) -> None:
    """What is pushed is escaped as what was rendered."""
    live, page = _live(storage), Page({"pulse": replace(PULSE, headline=HOSTILE)})
    async with aclosing(live.follow(page.view())) as stream:
        sent = await _next(stream, "panel")
    assert "<img" not in sent["html"]  # type: ignore[index]
    assert "&lt;img" in sent["html"]  # type: ignore[index]


async def test_listeners_share_one_reading(storage: Storage) -> None:
    """Ten open pages read the database as often as one."""
    live, page = _live(storage), Page({"pulse": PULSE})
    streams = [live.follow(page.view()) for _ in range(10)]
    await asyncio.gather(*(_next(stream, "now") for stream in streams))
    assert live.listeners == 10
    assert page.readings < 10
    for stream in streams:
        await stream.aclose()


async def test_nobody_looking_means_nothing_is_read(storage: Storage) -> None:
    """The last listener ends the reading; the next one starts it again."""
    live, page = _live(storage), Page({"pulse": PULSE})
    for _ in range(2):
        async with aclosing(live.follow(page.view())) as stream:
            await _next(stream, "now")
        await _until(lambda: not live.is_reading)
        assert live.listeners == 0


async def test_a_reading_that_fails_is_tried_again(storage: Storage) -> None:
    """A database that cannot be read for a while costs the pages that while alone."""
    live, page = _live(storage), Page({"pulse": PULSE}, fails=True)
    async with aclosing(live.follow(page.view())) as stream:
        first = asyncio.ensure_future(_next(stream, "panel"))
        await _until(lambda: page.readings > 1)
        page.fails = False
        assert (await first)["name"] == "pulse"  # type: ignore[index]


async def test_one_page_that_cannot_be_read_leaves_the_others_alive(storage: Storage) -> None:
    """What is wrong with one view is kept from the rest."""
    live, good, bad = _live(storage), Page({"pulse": PULSE}), Page({}, fails=True)
    async with aclosing(live.follow(bad.view("bad"))) as broken, aclosing(live.follow(good.view())) as stream:
        waiting = asyncio.ensure_future(_next(broken, "panel"))
        assert (await _next(stream, "panel"))["name"] == "pulse"  # type: ignore[index]
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_stopping_ends_every_stream(storage: Storage) -> None:
    """Open pages do not hold up the end of the broker."""
    live, page = _live(storage), Page({"pulse": PULSE})
    stream = live.follow(page.view())
    await _next(stream, "now")
    await live.stop()
    async with asyncio.timeout(PATIENCE):
        assert [event async for event in stream] == []
