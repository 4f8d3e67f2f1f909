"""Trees that fork to get away: real ones, which end all the same."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

from kokino.process import tree
from kokino.process.client import Warden
from kokino.process.model import Breach, read_exit_file
from tests.integration.process.box import Box, ended, is_alive, pids_in, until

#: Each process of the tree forks as fast as it can; EACH is what a new one does first. No more than argv[1]
#: in all, so that a failed test does not take the machine with it.
BOMB = """
    import os, signal, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tokens, fill = os.pipe2(os.O_NONBLOCK)
    os.write(fill, b"." * int(sys.argv[1]))
    print("up", flush=True)
    time.sleep(float(sys.argv[2]))
    try:
        while os.read(tokens, 1):
            if os.fork() == 0:
                EACH
    except BlockingIOError:
        time.sleep(60)
"""
FUSE = "500"


@pytest.mark.parametrize(
    "each",
    [
        pytest.param("pass", id="in one group"),
        pytest.param("os.setsid()", id="each in a session of its own"),
        pytest.param("os.fork() and os._exit(0)", id="each without its parent"),
    ],
)
async def test_a_fork_bomb_is_ended_whole(box: Box, warden: Warden, each: str) -> None:
    """Neither new sessions nor lost parents help any of it to live on."""
    launch = replace(box.launch("e", BOMB.replace("EACH", each), FUSE, "0"), processes=60)

    outcome = await box.run(warden, launch)

    assert outcome.breach is Breach.PROCESSES
    assert read_exit_file(launch.exit_file) == outcome
    assert tree.below(box.started[0].keeper_pid) == []


async def test_a_bomb_that_a_cli_leaves_behind_is_ended_and_told(box: Box, warden: Warden) -> None:
    """The CLI has exited by then; that its tree went over the limit is said all the same."""
    script = BOMB.replace("EACH", "pass").replace(
        'print("up", flush=True)', "if os.fork():\n        os._exit(0)"
    )
    launch = replace(box.launch("e", script, FUSE, "0"), processes=60)

    outcome = await box.run(warden, launch)

    assert (outcome.code, outcome.was_stopped, outcome.breach) == (0, False, Breach.PROCESSES)
    assert outcome.leftovers > 0


async def test_a_bomb_whose_keeper_is_killed_is_ended_by_the_warden(box: Box, warden: Warden) -> None:
    """All of it falls to the warden, which has other keepers below it that it must not touch."""
    other = await box.start(warden, box.launch("other", "import time; time.sleep(60)"))
    launch = box.launch("e", BOMB.replace("EACH", "os.setsid()"), FUSE, "0")
    started = await box.start(warden, launch)
    await until(lambda: len(tree.below(started.keeper_pid)) > 100)

    os.kill(started.keeper_pid, signal.SIGKILL)
    outcome = await ended(warden, "e")

    assert outcome.leftovers > 0
    assert outcome.peak_bytes is not None
    assert {stat.pid for stat in tree.below(warden.pid)} == {other.keeper_pid, other.pid}


async def test_a_chain_that_outruns_every_walk_is_ended(box: Box, warden: Warden) -> None:
    """Each link forks the next one and exits at once, in a session of its own."""
    script = """
        import os, time
        print("up", flush=True)
        for _ in range(3000):
            if os.fork():
                os._exit(0)
            os.setsid()
            print(os.getpid(), flush=True)
        time.sleep(60)
    """
    launch = box.launch("e", script)
    await box.start(warden, launch)
    await box.says(launch, "up")

    await warden.stop("e", signal=signal.SIGKILL)
    await ended(warden, "e")

    assert not any(is_alive(pid) for pid in pids_in(launch.stdout.read_text()))


async def test_a_cli_runs_as_its_broker_does(box: Box, warden: Warden) -> None:
    """Warden and keeper run before all others where they may; what they start has no such right."""
    launch = box.launch("e", "import os; print(os.sched_getscheduler(0), os.nice(0))")

    await box.run(warden, launch)

    assert launch.stdout.read_text() == f"{os.SCHED_OTHER} {os.nice(0)}\n"
