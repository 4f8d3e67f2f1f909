"""Holds a storage's writer inside a transaction, so that what comes meanwhile must share the next one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from kokino.storage import Storage

#: Far longer than anything here takes, in seconds.
PATIENCE = 30


class Gate:
    """A door that the writer waits at."""

    def __init__(self) -> None:
        self._entered, self._leave = threading.Event(), threading.Event()

    def hold(self, _conn: Connection) -> None:
        """To be written."""
        self._entered.set()
        assert self._leave.wait(PATIENCE)

    async def entered(self) -> None:
        """Return once the writer stands at it."""
        assert await asyncio.to_thread(self._entered.wait, PATIENCE)

    def open(self) -> None:
        """Let the writer go on."""
        self._leave.set()


async def in_one_batch(storage: Storage, *fns: Callable[[Connection], Any]) -> list[Any]:
    """What came of writing `fns` together, in their order: their values, or what was raised."""
    gate = Gate()
    holding = asyncio.create_task(storage.write(gate.hold))
    await gate.entered()
    writes = [asyncio.create_task(storage.write(fn)) for fn in fns]
    await asyncio.sleep(0)  # each has put its own into the queue then
    gate.open()
    await holding
    return await asyncio.gather(*writes, return_exceptions=True)
