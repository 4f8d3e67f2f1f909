import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from kokino.errors import ProcessError
from kokino.process import tree
from kokino.process.client import Warden
from tests.integration.process.box import DAEMON, DEAF, HEEDS, Box, at_once, ended, is_alive, pids_in, until


async def test_a_cli_is_asked_before_it_is_killed(box: Box, warden: Warden) -> None:
    """SIGTERM comes first, and a CLI that heeds it ends in its own way."""
    launch = box.launch("e", HEEDS, "15", "42")
    await box.start(warden, launch)
    await box.says(launch, "up")

    await warden.stop("e")

    outcome = await ended(warden, "e")
    assert (outcome.code, outcome.was_stopped) == (42, True)


async def test_another_signal_may_be_asked_for(box: Box, warden: Warden) -> None:
    """Some CLIs end in order on SIGINT only."""
    launch = box.launch("e", HEEDS, "2", "7")
    await box.start(warden, launch)
    await box.says(launch, "up")

    await warden.stop("e", signal=signal.SIGINT)

    assert (await ended(warden, "e")).code == 7


async def test_what_ignores_the_signal_is_killed_after_the_grace(box: Box, warden: Warden) -> None:
    """No CLI outlives its grace."""
    launch = at_once(box.launch("e", DEAF))
    await box.start(warden, launch)
    await box.says(launch, "\n")

    await warden.stop("e")

    outcome = await ended(warden, "e")
    assert (outcome.code, outcome.signal, outcome.was_stopped) == (None, 9, True)


async def test_a_stopped_process_hears_the_signal_too(box: Box, warden: Warden) -> None:
    """A CLI that sits in SIGSTOP is woken for its SIGTERM, not left to be killed."""
    launch = box.launch("e", HEEDS, "15", "5")
    started = await box.start(warden, launch)
    await box.says(launch, "up")
    os.kill(started.pid, signal.SIGSTOP)

    await warden.stop("e")

    assert (await ended(warden, "e")).code == 5


async def test_stopping_twice_is_stopping_once_and_a_shorter_grace_hurries(box: Box, warden: Warden) -> None:
    """The second stop does not start the grace anew; an impatient one cuts it short."""
    launch = box.launch("e", DEAF)
    await box.start(warden, launch)
    await box.says(launch, "\n")

    await warden.stop("e", grace=timedelta(minutes=5))
    await warden.stop("e", grace=timedelta(minutes=5))
    await warden.stop("e", grace=timedelta(0))

    assert (await ended(warden, "e")).signal == 9


async def test_stopping_what_does_not_run_is_no_fault(box: Box, warden: Warden) -> None:
    """Neither an id that nobody knows nor one that has ended raises."""
    await box.run(warden, box.launch("e", ""))

    await warden.stop("e")
    await warden.stop("unheard-of")

    assert (await ended(warden, "e")).was_stopped is False
    with pytest.raises(ProcessError, match="knows no execution 'unheard-of'"):
        await warden.ended("unheard-of")


@pytest.mark.parametrize(("last", "is_stopped"), [("pass", False), ("time.sleep(60)", True)])
async def test_a_daemon_that_hides_is_gone_before_the_end_is_told(
    box: Box, warden: Warden, last: str, is_stopped: bool
) -> None:
    """A double fork, a session of its own and a wiped environment hide nothing from a subreaper."""
    launch = at_once(box.launch("e", DAEMON.replace("LAST", last)))
    await box.start(warden, launch)
    await until(lambda: launch.stdout.exists() and bool(pids_in(launch.stdout.read_text())))
    if is_stopped:
        await warden.stop("e")

    outcome = await ended(warden, "e")

    (daemon,) = pids_in(launch.stdout.read_text())
    assert not is_alive(daemon)
    assert outcome.leftovers == 1
    assert outcome.was_stopped is is_stopped


async def test_a_chain_that_respawns_itself_is_ended(box: Box, warden: Warden) -> None:
    """Processes that fork and exit faster than a walk through /proc takes do not get away."""
    script = """
        import os, time
        print("up", flush=True)
        for _ in range(50):
            if os.fork():
                os._exit(0)
            os.setsid()
            print(os.getpid(), flush=True)
            time.sleep(0.002)
        time.sleep(60)
    """
    launch = at_once(box.launch("e", script))
    await box.start(warden, launch)
    await box.says(launch, "up")

    await ended(warden, "e")

    assert not any(is_alive(pid) for pid in pids_in(launch.stdout.read_text()))


async def test_a_storm_of_forks_is_ended(box: Box, warden: Warden) -> None:
    """Children that answer SIGTERM with more children are all gone in the end."""
    script = """
        import os, signal, time
        left = 50
        def multiply(*_):
            global left
            while left and os.fork():
                left -= 1
            left = left and left - 1
        signal.signal(signal.SIGTERM, multiply)
        for _ in range(3):
            os.fork()
        print(os.getpid(), flush=True)
        while True:
            time.sleep(60)
    """
    launch = replace(box.launch("e", script), grace=timedelta(milliseconds=50))
    started = await box.start(warden, launch)
    await until(lambda: launch.stdout.exists() and len(pids_in(launch.stdout.read_text())) == 8)

    await warden.stop("e")
    outcome = await ended(warden, "e")

    assert outcome.signal == 9
    assert tree.below(started.keeper_pid) == []
    assert not any(is_alive(pid) for pid in pids_in(launch.stdout.read_text()))


async def test_nobody_elses_process_is_touched(box: Box, warden: Warden) -> None:
    """A process of the same program, user and session, but not below the keeper, lives on."""
    code = "import time; time.sleep(60)"
    stranger = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", code, stdin=subprocess.DEVNULL
    )
    try:
        launch = at_once(box.launch("e", code))
        await box.start(warden, launch)
        await warden.stop("e")
        await ended(warden, "e")

        assert is_alive(stranger.pid)
    finally:
        stranger.kill()
        await stranger.wait()


async def test_the_processes_and_memory_of_a_tree_can_be_read(box: Box, warden: Warden) -> None:
    """The keeper is the root to measure from, and another process with its pid is not mistaken for it."""
    launch = box.launch("e", "import os, time; os.fork(); print('up', flush=True); time.sleep(60)")
    started = await box.start(warden, launch)
    await until(lambda: launch.stdout.exists() and launch.stdout.read_text().count("up") == 2)

    usage = tree.usage(started.keeper_pid, started_at_ticks=started.keeper_started_at_ticks)
    proportional = sum(map(tree.proportional_bytes_of, tree.below(started.keeper_pid)))

    assert usage.processes == 2
    assert 0 < proportional < usage.resident_bytes
    assert tree.usage(started.keeper_pid, started_at_ticks=1).processes == 0
