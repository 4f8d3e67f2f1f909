"""Looks at files that may hang."""

from __future__ import annotations

import asyncio
import threading

import pytest

from kokino.doctor.model import Check
from kokino.doctor.patience import Threads


async def test_a_look_that_hangs_is_left_to_itself_and_not_doubled() -> None:
    """Once the disk answers again, so does it."""
    threads, answers = Threads(), threading.Event()
    good, begun = Check(name="disk", passed=True, message="room"), []

    def hangs() -> Check:
        begun.append(1)
        answers.wait()
        return good

    for _ in range(2):
        with pytest.raises(TimeoutError):
            await threads.run("codex disk", hangs, 0.01)
    assert begun == [1]
    answers.set()
    async with asyncio.timeout(60):
        assert await threads.run("codex disk", hangs, 60) is good

    def breaks() -> Check:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await threads.run("codex binary", breaks, 60)
