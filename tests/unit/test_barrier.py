"""A barrier around each of many."""

from __future__ import annotations

import asyncio

import pytest
import structlog.testing

from kokino.barrier import Barrier, Faults


async def double(number: int) -> int:
    """Twice as much; an odd number is refused."""
    await asyncio.sleep(0)
    if number % 2:
        raise ValueError(f"{number} is odd")
    return 2 * number


def name(number: int) -> str:
    """What a fault is told of."""
    return f"number {number}"


async def test_what_works_gives_its_results_in_order() -> None:
    """Nothing is raised where nothing failed."""
    with Barrier() as barrier:
        assert await barrier.each([2, 4], double, name=name) == [4, 8]


async def test_what_follows_a_failure_has_its_turn_and_then_all_failures_are_raised() -> None:
    """Also in a second walk within the same scope; the message names what failed and why."""
    done: list[int] = []

    async def walk_twice() -> None:
        with Barrier() as barrier:
            done.extend(await barrier.each([1, 2], double, name=name))
            done.extend(await barrier.each([3, 4], double, name=name))

    with pytest.raises(Faults, match="number 1: ValueError: 1 is odd; number 3: ValueError: 3 is") as raised:
        await walk_twice()
    assert done == [4, 8]
    assert [str(error) for error in raised.value.exceptions] == ["1 is odd", "3 is odd"]


async def test_each_failure_is_logged_when_it_happens() -> None:
    """With its item, before the others have their turn."""
    with structlog.testing.capture_logs() as logs, pytest.raises(Faults), Barrier() as barrier:
        await barrier.each([1], double, name=name)
    assert [(entry["event"], entry["item"]) for entry in logs] == [("one of many failed", "number 1")]


async def test_a_failure_of_the_scope_itself_is_what_is_raised() -> None:
    """The faults before it are in the log."""

    async def fail_twice() -> None:
        with Barrier() as barrier:
            await barrier.each([1], double, name=name)
            raise KeyError("elsewhere")

    with pytest.raises(KeyError):
        await fail_twice()


async def test_being_cancelled_is_no_failure_of_an_item() -> None:
    """Whoever cancels wants the whole walk to end."""

    async def cancelled(_number: int) -> int:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError), Barrier() as barrier:
        await barrier.each([1, 2], cancelled, name=name)
