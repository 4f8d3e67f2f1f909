"""Looks at the screen of a CLI, one after the other, and the keys that are pressed in between.

Looks are counted, not timed: they follow a real process, whatever clock the broker has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from kokino.agents.drivers.contract import Interactive, Look
from kokino.process.tmux.terminal import Screen, Terminal

#: Between two looks at a screen, in seconds: about as often as a CLI draws.
LOOK_AGAIN = 0.1
#: Between keys that mean something else when they come at once, in seconds.
PACE = 0.1


@dataclass(slots=True)
class Looks:
    """The eyes and the keys of who types."""

    terminal: Terminal
    form: Interactive

    async def most(self, number: int | None) -> AsyncIterator[tuple[Screen, Look]]:
        """So many looks at the most; None for no end of them."""
        looked = 0
        while number is None or looked < number:
            screen = await self.terminal.screen()
            yield screen, self.form.look(screen.text)
            looked += 1
            await asyncio.sleep(LOOK_AGAIN)

    async def press(self, keys: tuple[str, ...]) -> None:
        """Press keys, one after the other."""
        for key in keys:
            await self.terminal.keys(key)
            await asyncio.sleep(PACE)
