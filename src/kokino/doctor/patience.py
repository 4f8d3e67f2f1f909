"""Looks at files that may hang, as on a dead network disk: in threads that nobody has to wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from kokino.doctor.model import Check

#: A look at one thing. Reads files, so it takes as long as a disk takes.
Look = Callable[[], Check]


class Threads:
    """One look at a time under each name; one that hangs is not begun again, but waited for once more.

    The threads are daemons: they keep neither the loop nor the end of the process waiting.
    """

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Future[Check]] = {}

    async def run(self, name: str, look: Look, patience: float) -> Check:
        """What `look` finds, or raises. Raises `TimeoutError` after `patience` seconds."""
        if name not in self._running:
            self._running[name] = self._begin(name, look)
        async with asyncio.timeout(patience):
            return await asyncio.shield(self._running[name])

    def _begin(self, name: str, look: Look) -> asyncio.Future[Check]:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Check] = loop.create_future()
        outcome.add_done_callback(lambda _: self._running.pop(name, None))

        def work() -> None:
            try:
                found = look()
            except Exception as error:  # noqa: BLE001 - whoever waits gets it, whatever it is
                tell(outcome.set_exception, error)
            else:
                tell(outcome.set_result, found)

        def tell(how: Callable[..., None], what: object) -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile: nobody waits any more
                loop.call_soon_threadsafe(how, what)

        threading.Thread(target=work, name=f"doctor {name}", daemon=True).start()
        return outcome
