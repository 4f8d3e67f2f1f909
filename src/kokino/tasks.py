"""Background tasks that somebody owns: none is forgotten, none outlives its owner, none fails unheard."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

import structlog

log = structlog.get_logger(__name__)

#: Pause before something that failed is tried again, in seconds: another's lock, a full disk, a restart.
AFTER_FAILURE = 1.0


class Tasks:
    """The tasks of one owner. Leaving the scope, or `stop`, cancels what still runs and waits for it.

    Unlike `asyncio.TaskGroup`, one task's failure leaves its siblings running: it is logged, with its name.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def in_flight(self) -> int:
        """How many tasks have not ended."""
        return len(self._running)

    def start(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run `work` until it ends or the owner stops."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def stop(self) -> None:
        """Cancel every task and return when all have ended."""
        while self._running:
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running)

    async def settled(self) -> None:
        """Return when no task is left."""
        while self._running:
            await asyncio.wait(self._running)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a background task failed", task=task.get_name(), exc_info=error)
