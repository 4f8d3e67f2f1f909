"""Waiting for the end of a process that is not our child."""

from __future__ import annotations

import asyncio
import os

from kokino.process import tree


async def gone(pid: int, started_at_ticks: int | None = None) -> None:
    """Return when the process has ended, at once when it is gone already.

    With `started_at_ticks` another process that has got its pid counts as gone too.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        if started_at_ticks is None or tree.is_running(pid, started_at_ticks):
            await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
