"""Background tasks: owned, ended with their owner, heard when they fail."""

from __future__ import annotations

import asyncio

import pytest
import structlog.testing

from kokino.tasks import Tasks


async def forever(ended: list[str], name: str = "it") -> None:
    """Until somebody cancels it; says so then."""
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(name)


async def failing() -> None:
    """Fails."""
    raise RuntimeError("it broke")


async def test_leaving_the_scope_ends_every_task() -> None:
    """And waits for them: here none runs any more."""
    ended: list[str] = []
    async with Tasks() as tasks:
        tasks.start(forever(ended, "a"), name="a")
        tasks.start(forever(ended, "b"), name="b")
        await asyncio.sleep(0)
        assert tasks.in_flight == 2
    assert sorted(ended) == ["a", "b"]
    assert tasks.in_flight == 0


async def test_a_task_that_starts_another_while_it_is_stopped_is_waited_for_too() -> None:
    """Stopping goes on until nothing is left."""
    tasks, ended = Tasks(), list[str]()

    async def replaces_itself() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            tasks.start(forever(ended), name="the next one")
            await asyncio.sleep(0)

    tasks.start(replaces_itself(), name="first")
    await asyncio.sleep(0)
    await tasks.stop()
    assert tasks.in_flight == 0
    assert ended == ["it"]


async def test_a_failure_is_told_and_leaves_the_others_alone() -> None:
    """With the task's name, so that somebody can look for it."""
    with structlog.testing.capture_logs() as told:
        async with Tasks() as tasks:
            other = tasks.start(forever([]), name="other")
            failed = tasks.start(failing(), name="fails")
            await asyncio.wait([failed])
            await asyncio.sleep(0)
            assert not other.done()
    assert [(record["event"], record["task"]) for record in told] == [("a background task failed", "fails")]


async def test_settled_returns_when_the_last_has_ended() -> None:
    """Without cancelling any of them."""
    gate, tasks, passed = asyncio.Event(), Tasks(), list[bool]()

    async def waits() -> None:
        passed.append(await gate.wait())

    tasks.start(waits(), name="waits")
    settled = asyncio.create_task(tasks.settled())
    await asyncio.sleep(0)
    assert not settled.done()
    gate.set()
    await settled
    assert passed == [True]


async def test_the_result_is_its_callers() -> None:
    """A started task can be awaited like any other."""
    async with Tasks() as tasks:
        with pytest.raises(RuntimeError, match="it broke"):
            await tasks.start(failing(), name="fails")
