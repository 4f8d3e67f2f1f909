"""A warden of the test's own, in a box that is empty of processes when the test is over."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from kokino.process import tree
from kokino.process.client import Warden
from tests.integration.process.box import Box, is_alive, until


@pytest.fixture
async def box(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Box]:
    """A box that is empty of processes when the test is over, whatever happened in it."""
    box = Box(tmp_path_factory.mktemp("b"))
    yield box
    for warden in box.connections:
        await warden.release()
        with suppress(ProcessLookupError):
            os.kill(warden.pid, signal.SIGKILL)
    for started in box.started:
        if tree.is_running(started.pid, started.started_at_ticks):
            os.kill(started.pid, signal.SIGKILL)
    await until(lambda: not any(is_alive(each.keeper_pid) for each in box.started))


@pytest.fixture
async def warden(box: Box) -> Warden:
    """A connection to a warden of its own."""
    return await box.attach()
