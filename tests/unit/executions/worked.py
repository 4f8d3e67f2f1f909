"""A terminal whose screens are given, and who types in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from kokino.agents.drivers.contract import Interactive
from kokino.agents.drivers.terminal.registry import form_of
from kokino.agents.model import Permissions
from kokino.executions.model import Waiting
from kokino.executions.output.follow import Follow
from kokino.executions.stop import Stop
from kokino.executions.terminal.looks import Looks
from kokino.executions.terminal.questions import Questions
from kokino.executions.terminal.typist import Typist
from kokino.process.tmux.terminal import Screen, Terminal
from kokino.testing.clock import ManualClock

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@dataclass
class Shown:
    """Shows what `draw` makes of what was done to it."""

    draw: Callable[[list[str]], str]
    #: Keys and pastes in their order; a paste is its text.
    done: list[str] = field(default_factory=list)
    #: Raised by the next look.
    fault: Exception | None = None

    async def screen(self) -> Screen:
        """As a real one."""
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        return Screen(tuple(self.draw(self.done).split("\n")))

    async def history(self) -> Screen:
        """Nothing has scrolled away."""
        return await self.screen()

    async def gone(self) -> None:
        """It is there."""

    async def tidy(self) -> None:
        """It has left nothing."""

    async def say(self, text: str) -> None:
        """Nobody has attached."""

    async def keys(self, *names: str) -> None:
        """Noted, after a while, as tmux answers."""
        await asyncio.sleep(0)
        self.done += names

    async def paste(self, text: str) -> None:
        """Noted."""
        self.done.append(text)


class Followed:
    """What a typist needs of a `Follow`."""

    def __init__(self, driver: str) -> None:
        self.execution = SimpleNamespace(execution_id="exec-1")
        self.reader = cast("Interactive", form_of(driver)).reader(None)
        self.is_final = asyncio.Event()
        self.stop: Stop | None = None

    def interrupt(self, reason: Stop) -> None:
        """The first reason counts."""
        self.stop = self.stop or reason

    def woke(self) -> None:
        """Its deadlines are not looked at here."""

    def settle(self) -> None:
        """It is done."""
        self.is_final.set()


def typist(
    shown: Shown,
    driver: str = "gemini",
    *,
    screen_file: Path | None = Path("/nonexistent/screen"),
) -> Typist:
    """Who types "Say hello." there."""
    follow = cast("Follow", cast("Any", Followed(driver)))
    looks = Looks(cast("Terminal", shown), cast("Interactive", form_of(driver)))
    return Typist(
        looks=looks,
        questions=questions(looks),
        follow=follow,
        prompt="Say hello.",
        screen_file=screen_file,
        processes=lambda: None,
    )


def questions(looks: Looks) -> Questions:
    """What is asked there, of people."""

    async def note(waiting: Waiting | None) -> None:
        """Nobody is told."""

    return Questions(
        terminal=looks.terminal,
        form=looks.form,
        permissions=Permissions.ASK,
        clock=ManualClock(NOW),
        note=note,
        woke=lambda: None,
    )
