"""A warden of the test's own, in a box that is empty of processes when the test is over; control groups."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest

from kokino.process import tree
from kokino.process.cgroup import Group
from kokino.process.client import Warden
from tests.integration.process.box import Box, is_alive, until
from tests.integration.process.groups import Root


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


@pytest.fixture
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    """A control group of the test's own, on a mount of its own; a plain folder where nobody may mount one."""
    mount = tmp_path_factory.mktemp("cgroup")
    command = ["mount", "-t", "cgroup2", "none", str(mount)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        yield Root(mount, is_real=False)
        return
    path = mount / f"kokino-test-{os.getpid()}"
    path.mkdir()
    try:
        yield Root(path, is_real=True)
    finally:
        Group(str(path)).kill()
        while not Group(str(path)).remove():
            pass
        subprocess.run(["umount", str(mount)], check=True)
