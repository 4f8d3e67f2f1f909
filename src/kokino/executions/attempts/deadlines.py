"""The instants at which something is due for a running process, whatever it writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from kokino.clock import wait_for_either
from kokino.executions.output.follow import Follow
from kokino.executions.overdue import stuck
from kokino.executions.overdue.stuck import Reason, Stuck
from kokino.executions.stop import Stop


async def keep(follow: Follow, tell: Callable[[Stuck], Awaitable[None]]) -> None:
    """Interrupt at the wall deadline, after too long a silence, and when the last word was long ago.

    `tell` is called when it turns out to be stuck, once for each reason.
    """
    async with asyncio.TaskGroup() as group:
        group.create_task(_keep_wall(follow))
        group.create_task(_keep_idle(follow))
        group.create_task(_keep_final(follow))
        group.create_task(_watch(follow, tell))


@asynccontextmanager
async def wall(follow: Follow) -> AsyncIterator[None]:
    """Interrupt at the wall deadline, inside the block: while it is being started, nothing else counts."""
    keeping = asyncio.create_task(_keep_wall(follow), name=f"deadline {follow.execution.execution_id}")
    try:
        yield
    finally:
        keeping.cancel()


async def _keep_wall(follow: Follow) -> None:
    started_at = follow.execution.started_at or follow.execution.queued_at
    await follow.clock.sleep_until(started_at + follow.execution.timeout)
    follow.interrupt(Stop.LINGER if follow.reader.is_final else Stop.TIMEOUT)


async def _keep_idle(follow: Follow) -> None:
    while True:
        await follow.clock.sleep_until(follow.last_output_at + follow.limits.idle)
        if follow.reader.is_final:
            return
        if follow.reader.tools.running is not None or follow.activity.is_waiting:
            # A tool may be silent, and a person may think: its time starts anew.
            await follow.clock.sleep_until(follow.clock.now() + follow.limits.idle)
        elif follow.last_output_at + follow.limits.idle <= follow.clock.now():
            follow.interrupt(Stop.IDLE)
            return


async def _keep_final(follow: Follow) -> None:
    await follow.is_final.wait()
    await follow.clock.sleep_until(follow.clock.now() + follow.limits.grace)
    follow.interrupt(Stop.LINGER)


async def _watch(follow: Follow, tell: Callable[[Stuck], Awaitable[None]]) -> None:
    told: set[Reason] = set()
    while not follow.reader.is_final:
        found = stuck.decide(follow.activity, follow.clock.now())
        if found is not None and found.reason not in told:
            told.add(found.reason)
            await tell(found)
        follow.has_moved.clear()
        due = stuck.next_look(follow.activity) if found is None else None
        await wait_for_either(follow.has_moved, follow.clock, due)
