"""How long tmux is waited for: it answers in milliseconds, and a server that hangs answers never."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(slots=True)
class Patience:
    """As long as tmux's client has it; once the execution shall end, no longer than that may take."""

    #: In seconds; None until it shall end.
    _within: float | None = None
    _asking: set[asyncio.Timeout] = field(default_factory=set)

    def shorten(self, within: timedelta) -> None:
        """It shall end: what is asked, and what will be, is answered in this time or not at all."""
        if self._within is not None:
            return
        self._within = within.total_seconds()
        for asked in self._asking:
            asked.reschedule(asyncio.get_running_loop().time() + self._within)

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Ask tmux within. Raises `TimeoutError`; whoever asks after that hears so at once."""
        try:
            async with asyncio.timeout(self._within) as asked:
                self._asking.add(asked)
                try:
                    yield
                finally:
                    self._asking.discard(asked)
        except TimeoutError:
            self._within = 0
            raise
