"""Run the modules in order, again and again: at once when woken, else when the first of them is due."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from kokino.clock import Clock, Stopwatch, wait_for_either
from kokino.engine.module import BackgroundModule, Module
from kokino.tasks import Tasks

log = structlog.get_logger(__name__)

#: How long one module may hold up the others, in seconds. All of them only read and write rows; a module that
#: needs longer than a busy database's worst moment is stuck.
PATIENCE = 30.0
#: When to try a module again that failed.
AFTER_FAILURE = timedelta(seconds=5)
#: Between two looks whether background work has ended, in seconds.
LOOK_AGAIN = 0.05


@dataclass(slots=True)
class Health:
    """How a module has fared."""

    runs: int = 0
    failures: int = 0
    #: What went wrong the last time; None when the last run went well.
    error: str | None = None
    last_run_at: datetime | None = None
    #: What the last run took, and all of them, in seconds.
    last_run_seconds: float = 0.0
    busy_seconds: float = 0.0

    def took(self, seconds: float) -> None:
        """A run has ended."""
        self.last_run_seconds = seconds
        self.busy_seconds += seconds


@dataclass(slots=True)
class Engine:
    """Each module has a deadline and a barrier: one failure is logged and counted, the rest still run."""

    clock: Clock
    modules: Sequence[Module]
    health: dict[str, Health] = field(default_factory=dict)
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: Tasks = field(default_factory=Tasks)
    _is_waiting: bool = False
    _is_settling: bool = False
    #: Those that have work in the background, by name. Asking a module whether it is one costs 0.1 ms.
    _background: dict[str, BackgroundModule] = field(init=False)
    #: When the first module is due, as far as the last cycle knew.
    next_due_at: datetime | None = None

    def __post_init__(self) -> None:
        self.health.update({module.name: Health() for module in self.modules})
        self._background = {
            module.name: module for module in self.modules if isinstance(module, BackgroundModule)
        }

    @property
    def is_idle(self) -> bool:
        """Every module has run since the last wake, and none works in the background."""
        return self._is_waiting and not self._wanted.is_set() and self._in_flight() == 0

    def wake(self) -> None:
        """Something happened that a module may wait for."""
        self._wanted.set()

    async def start(self) -> None:
        """Begin to cycle."""
        self._tasks.start(self._keep_cycling(), name="engine")
        self.wake()

    async def settle(self, longest: timedelta) -> None:
        """Begin no more background work; return when what there is has ended, or `longest` is over.

        Until then the other modules go on: no alert waits for a repair. Then the cycle is at its end.
        """
        self._is_settling = True
        with suppress(TimeoutError):
            async with asyncio.timeout(longest.total_seconds()):
                await self._rested()
                await self._tasks.stop()
                # A module that was in its turn may have begun something after all.
                await self._rested()
        await self._tasks.stop()

    async def stop(self) -> None:
        """End the cycle, then what the modules have in the background, last module first."""
        await self._tasks.stop()
        for module in reversed(self._background.values()):
            await module.stop()

    async def cycle(self) -> datetime | None:
        """Run every module once, in order; when the first of them is due again."""
        due = [await self._run(module) for module in self.modules if self._may_run(module)]
        return min((instant for instant in due if instant is not None), default=None)

    async def _keep_cycling(self) -> None:
        while True:
            self._wanted.clear()
            self.next_due_at = await self.cycle()
            self._is_waiting = True
            try:
                await wait_for_either(self._wanted, self.clock, self.next_due_at)
            finally:
                self._is_waiting = False

    async def _run(self, module: Module) -> datetime | None:
        now = self.clock.now()
        health = self.health[module.name]
        health.runs += 1
        health.last_run_at = now
        watch = Stopwatch()
        try:
            due = await _in_time(module, now)
        except Exception as error:  # the barrier: whatever it was, the other modules run
            health.failures += 1
            health.error = f"{type(error).__name__}: {error}"
            log.exception("an engine module failed", module=module.name)
            return now + AFTER_FAILURE
        finally:
            health.took(watch.seconds)
        health.error = None
        return due

    def _may_run(self, module: Module) -> bool:
        return not (self._is_settling and module.name in self._background)

    async def _rested(self) -> None:
        while self._in_flight():
            await asyncio.sleep(LOOK_AGAIN)

    def _in_flight(self) -> int:
        return sum(module.in_flight for module in self._background.values())


async def _in_time(module: Module, now: datetime) -> datetime | None:
    deadline = asyncio.timeout(PATIENCE)
    try:
        async with deadline:
            return await module.run(now)
    except TimeoutError as error:
        if deadline.expired():
            raise TimeoutError(f"took longer than {PATIENCE:g} s") from error
        raise
