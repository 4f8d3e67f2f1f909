"""The engine: every module in its turn, whatever the others do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
import structlog.testing

from kokino.engine import loop
from kokino.engine.loop import AFTER_FAILURE, Engine
from kokino.engine.module import Module
from kokino.testing.clock import ManualClock

#: Far longer than anything here takes, in seconds.
PATIENCE = 20
MINUTE = timedelta(minutes=1)


@dataclass
class Recorded:
    """A module that notes when it ran."""

    name: str
    journal: list[str]
    #: From one run to the next; None waits for a wake.
    every: timedelta | None = None
    error: Exception | None = None
    hangs: bool = False
    in_flight: int = 0
    ran_at: list[datetime] = field(default_factory=list)

    async def run(self, now: datetime) -> datetime | None:
        """Note it, then do what it is told."""
        self.journal.append(self.name)
        self.ran_at.append(now)
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return None if self.every is None else now + self.every

    async def stop(self) -> None:
        """Note it."""
        self.journal.append(f"stop {self.name}")


@dataclass
class Plain:
    """A module that does nothing in the background."""

    journal: list[str]
    name: str = "plain"

    async def run(self, _now: datetime) -> datetime | None:
        """Note it, and wait for a wake."""
        self.journal.append(self.name)
        return None


async def until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)


@asynccontextmanager
async def running(clock: ManualClock, *modules: Module) -> AsyncIterator[Engine]:
    """An engine that cycles, and has come to rest once."""
    engine = Engine(clock, modules)
    await engine.start()
    await until(lambda: engine.is_idle)
    try:
        yield engine
    finally:
        await engine.stop()


async def test_modules_run_in_their_order() -> None:
    """One's effect is the next one's work."""
    journal: list[str] = []
    engine = Engine(ManualClock(), [Recorded(name, journal) for name in ("c", "a", "b")])
    await engine.cycle()
    assert journal == ["c", "a", "b"]


async def test_a_failing_module_is_counted_and_told_and_the_others_run() -> None:
    """The barrier: it is tried again soon, and its health says what went wrong."""
    clock, journal = ManualClock(), list[str]()
    broken = Recorded("broken", journal, error=RuntimeError("no such table"))
    engine = Engine(clock, [broken, Recorded("well", journal, every=MINUTE)])
    with structlog.testing.capture_logs() as told:
        due = await engine.cycle()
    assert journal == ["broken", "well"]
    assert due == clock.now() + AFTER_FAILURE
    health = engine.health["broken"]
    assert (health.runs, health.failures, health.error) == (1, 1, "RuntimeError: no such table")
    assert [(record["event"], record["module"]) for record in told] == [("an engine module failed", "broken")]
    assert engine.health["well"].error is None


async def test_a_module_that_is_well_again_says_so() -> None:
    """Its failures stay counted."""
    broken = Recorded("broken", [], error=RuntimeError("x"))
    engine = Engine(ManualClock(), [broken])
    with structlog.testing.capture_logs():
        await engine.cycle()
    broken.error = None
    await engine.cycle()
    assert (engine.health["broken"].failures, engine.health["broken"].error) == (1, None)


async def test_a_module_that_hangs_holds_up_the_others_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its deadline is real time: a stuck module would wait for ever in virtual time."""
    monkeypatch.setattr(loop, "PATIENCE", 0.01)
    journal: list[str] = []
    engine = Engine(ManualClock(), [Recorded("stuck", journal, hangs=True), Recorded("well", journal)])
    with structlog.testing.capture_logs():
        await engine.cycle()
    assert journal == ["stuck", "well"]
    assert engine.health["stuck"].error == "TimeoutError: took longer than 0.01 s"


async def test_it_sleeps_until_the_first_module_is_due() -> None:
    """And then runs all of them."""
    clock, journal = ManualClock(), list[str]()
    modules = [Recorded("slow", journal, every=2 * MINUTE), Recorded("fast", journal, every=MINUTE)]
    async with running(clock, *modules) as engine:
        await until(lambda: clock.next_wake() is not None)
        assert engine.next_due_at == clock.next_wake() == clock.now() + MINUTE
        clock.advance(seconds=59)
        assert engine.is_idle
        assert len(journal) == 2
        clock.advance(seconds=1)
        await until(lambda: len(journal) == 4)
    assert modules[0].ran_at[1] == modules[0].ran_at[0] + MINUTE


async def test_a_wake_runs_them_at_once() -> None:
    """Also when none is ever due by itself."""
    journal: list[str] = []
    async with running(ManualClock(), Recorded("a", journal)) as engine:
        engine.wake()
        assert not engine.is_idle
        await until(lambda: len(journal) == 2)


async def test_a_wake_during_a_cycle_is_not_lost() -> None:
    """What happened after a module had looked is seen by its next look."""
    journal: list[str] = []

    class Waking(Recorded):
        async def run(self, now: datetime) -> datetime | None:
            if len(self.ran_at) == 0:
                engine.wake()
            return await super().run(now)

    engine = Engine(ManualClock(), [Waking("a", journal)])
    await engine.start()
    await until(lambda: journal == ["a", "a"] and engine.is_idle)
    await engine.stop()


async def test_it_is_not_idle_while_a_module_works_in_the_background() -> None:
    """Whoever waits for rest waits for that too."""
    module = Recorded("a", [])
    async with running(ManualClock(), module) as engine:
        module.in_flight = 1
        assert not engine.is_idle
        module.in_flight = 0
        assert engine.is_idle


async def test_stopping_ends_the_modules_last_first() -> None:
    """In the reverse order of their work."""
    journal: list[str] = []
    async with running(ManualClock(), Recorded("a", journal), Recorded("b", journal)):
        journal.clear()
    assert journal == ["stop b", "stop a"]


async def test_it_settles_when_the_background_work_has_ended() -> None:
    """Nothing new begins meanwhile, and nothing is stopped."""
    journal: list[str] = []
    module = Recorded("a", journal)
    async with running(ManualClock(), module) as engine:
        module.in_flight = 1
        journal.clear()
        settling = asyncio.create_task(engine.settle(MINUTE))
        await asyncio.sleep(0)
        engine.wake()
        assert not settling.done()
        module.in_flight = 0
        async with asyncio.timeout(PATIENCE):
            await settling
        assert journal == []


async def test_while_it_settles_the_other_modules_go_on() -> None:
    """An alert does not wait for a repair; once that is over the cycle is at its end."""
    journal: list[str] = []
    background, plain = Recorded("repair", journal), Plain(journal)
    async with running(ManualClock(), background, plain) as engine:
        background.in_flight = 1
        settling = asyncio.create_task(engine.settle(MINUTE))
        await asyncio.sleep(0)
        journal.clear()
        engine.wake()
        await until(lambda: journal == ["plain"])
        background.in_flight = 0
        async with asyncio.timeout(PATIENCE):
            await settling
        engine.wake()
        for _ in range(10):
            await asyncio.sleep(0)
        assert journal == ["plain"]


async def test_it_does_not_wait_for_ever_for_background_work() -> None:
    """What does not end in time is for `stop`."""
    module = Recorded("a", [], in_flight=1)
    engine = Engine(ManualClock(), [module])
    async with asyncio.timeout(PATIENCE):
        await engine.settle(timedelta(milliseconds=1))
    assert module.in_flight == 1
