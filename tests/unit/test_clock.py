"""Instants, and waiting for them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.clock import EPOCH, MILLISECOND, ScaledClock, SystemClock, from_ms, iso, to_ms, wait_for_either
from kokino.testing.clock import ManualClock

NEVER = timedelta(days=1)


@given(st.integers(min_value=-62_000_000_000_000, max_value=253_000_000_000_000))
def test_milliseconds_survive_the_round_trip(ms: int) -> None:
    """What storage keeps is what was put in, before 1970 too."""
    assert to_ms(from_ms(ms)) == ms


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_is_cut_to_the_millisecond_before_it(instant: datetime) -> None:
    """Never rounded up: an instant must not come back later than it was."""
    assert timedelta(0) <= instant - from_ms(to_ms(instant)) < MILLISECOND


def test_times_are_written_in_utc_with_a_z() -> None:
    """Whatever zone they come in, with exactly three decimals."""
    berlin = timezone(timedelta(hours=1))
    assert iso(datetime(2026, 1, 5, 10, 0, tzinfo=berlin)) == "2026-01-05T09:00:00.000Z"


def test_the_machines_clock_gives_whole_milliseconds() -> None:
    """A value compares equal before and after it was stored."""
    now = SystemClock().now()
    assert now == from_ms(to_ms(now))
    assert now.tzinfo is UTC


async def test_a_past_instant_is_not_waited_for() -> None:
    """Every clock returns at once."""
    for clock in (SystemClock(), ScaledClock(2), ManualClock()):
        await clock.sleep_until(EPOCH)


async def test_a_scaled_clock_runs_from_its_start() -> None:
    """An hour of its time is over in a moment of ours."""
    start = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
    clock = ScaledClock(1_000_000, start)
    await clock.sleep_until(start + timedelta(hours=1))
    assert clock.now() >= start + timedelta(hours=1)


@pytest.mark.parametrize("scale", [0, -1])
def test_a_clock_that_stands_or_runs_back_is_refused(scale: float) -> None:
    """It would never reach any deadline."""
    with pytest.raises(ValueError, match="must be above 0"):
        ScaledClock(scale)


async def test_the_event_ends_the_wait_before_the_instant() -> None:
    """Whoever waits for either hears of what comes first, and nothing of it keeps waiting."""
    clock, event = ManualClock(), asyncio.Event()
    wait = asyncio.create_task(wait_for_either(event, clock, clock.now() + NEVER))
    await asyncio.sleep(0)
    event.set()
    await wait
    await asyncio.sleep(0)
    assert clock.next_wake() is None


async def test_the_instant_ends_the_wait_without_the_event() -> None:
    """Time alone is enough."""
    clock, event = ManualClock(), asyncio.Event()
    wait = asyncio.create_task(wait_for_either(event, clock, clock.now() + NEVER))
    while clock.next_wake() is None:
        await asyncio.sleep(0)
    clock.advance(days=1)
    await wait
    assert not event.is_set()


async def test_without_an_instant_only_the_event_counts() -> None:
    """None is for ever."""
    clock, event = ManualClock(), asyncio.Event()
    wait = asyncio.create_task(wait_for_either(event, clock, None))
    await asyncio.sleep(0)
    clock.advance(days=1000)
    await asyncio.sleep(0)
    assert not wait.done()
    event.set()
    await wait


async def test_a_manual_clock_wakes_in_the_order_of_the_instants() -> None:
    """Those of one instant in the order in which they came."""
    clock, woken = ManualClock(), list[str]()

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep_until(clock.now() + timedelta(seconds=seconds))
        woken.append(name)

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("late", 2), ("early", 1), ("early too", 1)):
            group.create_task(sleeper(name, seconds))
        await asyncio.sleep(0)
        clock.advance(seconds=2)
    assert woken == ["early", "early too", "late"]


def test_a_manual_clock_does_not_go_back() -> None:
    """A test that asks for it has a mistake."""
    clock = ManualClock()
    with pytest.raises(ValueError, match="time does not go back"):
        clock.advance(seconds=-1)
