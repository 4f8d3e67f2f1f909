"""What a tree may take: real processes that take more, looked at by a real warden."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from datetime import timedelta

import pytest

from kokino.process import tree
from kokino.process.client import Warden
from kokino.process.model import Breach, read_exit_file
from kokino.process.watching import gone
from tests.integration.process.box import DEAF, Box, ended, is_alive, until

MIB = 1024 * 1024
#: Holds argv[1] MiB of resident memory, and says so.
EATS = """
    import sys, time
    block = bytearray(int(sys.argv[1]) << 20)
    block[::4096] = b"x" * len(block[::4096])
    print("full", flush=True)
    time.sleep(60)
"""
#: As EATS, with four children that share the memory.
SHARES = """
    import os, sys, time
    block = bytearray(int(sys.argv[1]) << 20)
    block[::4096] = b"x" * len(block[::4096])
    for _ in range(4):
        if os.fork() == 0:
            time.sleep(60)
    print("full", flush=True)
    time.sleep(60)
"""
#: Every process of the tree forks as fast as it can, up to argv[1] in all; all of them are deaf.
BOMB = """
    import os, signal, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tokens, fill = os.pipe2(os.O_NONBLOCK)
    os.write(fill, b"." * int(sys.argv[1]))
    try:
        while os.read(tokens, 1):
            os.fork()
    except BlockingIOError:
        time.sleep(60)
"""
#: Writes for ever, as fast as it can.
FLOODS = """
    while True:
        print("x" * 1000)
"""
SPINS = """
    while True:
        pass
"""


async def test_a_tree_that_takes_too_much_memory_is_killed(box: Box, warden: Warden) -> None:
    """And both accounts of its end say why, with what it took."""
    launch = replace(box.launch("e", EATS, "150"), memory_bytes=100 * MIB)

    outcome = await box.run(warden, launch)

    assert (outcome.signal, outcome.was_stopped, outcome.breach) == (signal.SIGKILL, True, Breach.MEMORY)
    assert (outcome.peak_bytes or 0) > 100 * MIB
    assert read_exit_file(launch.exit_file) == outcome
    assert "over its limit of memory" in box.log()


async def test_memory_that_processes_share_counts_once(box: Box, warden: Warden) -> None:
    """Five processes show 60 MiB each, which is 300, and take little more than 60 together."""
    launch = replace(box.launch("e", SHARES, "60"), memory_bytes=200 * MIB)
    await box.start(warden, launch)

    await until(lambda: "e" in warden.samples and warden.samples["e"].processes == 5)

    sample = warden.samples["e"]
    assert sample.resident_bytes > 200 * MIB > (sample.pss_bytes or 0)
    await warden.stop("e", grace=timedelta(0))
    assert (await ended(warden, "e")).breach is None


async def test_a_tree_of_processes_that_runs_away_is_killed(box: Box, warden: Warden) -> None:
    """Also while it forks faster than one walk takes."""
    launch = replace(box.launch("e", BOMB, "1500"), processes=50)

    outcome = await box.run(warden, launch)

    assert (outcome.signal, outcome.breach) == (signal.SIGKILL, Breach.PROCESSES)
    assert tree.below(box.started[0].keeper_pid) == []


async def test_output_that_nobody_makes_room_for_is_stopped(box: Box, warden: Warden) -> None:
    """The disk is not filled, whatever a CLI writes."""
    launch = replace(box.launch("e", FLOODS), spool_bytes=5 * MIB)

    outcome = await box.run(warden, launch)

    assert outcome.breach is Breach.OUTPUT
    assert launch.stdout.stat().st_size > 5 * MIB


async def test_limits_hold_while_there_is_no_broker(box: Box, warden: Warden) -> None:
    """And the next one hears why the execution ended."""
    launch = replace(box.launch("e", EATS, "150"), memory_bytes=100 * MIB)
    await box.start(warden, launch)
    await warden.release()
    await until(launch.exit_file.exists)

    successor = await box.attach()

    assert (await ended(successor, "e")).breach is Breach.MEMORY


@pytest.mark.parametrize("script", [DEAF, SPINS])
async def test_a_tree_within_its_limits_is_left_alone(box: Box, warden: Warden, script: str) -> None:
    """It is looked at, and what it takes is told."""
    limits = {"memory_bytes": 500 * MIB, "processes": 10, "spool_bytes": MIB}
    await box.start(warden, replace(box.launch("e", script), **limits))  # type: ignore[arg-type]

    # The kernel counts processor time in hundredths of a second: what only sleeps may have taken none.
    least = 1 if script is SPINS else 0
    await until(lambda: "e" in warden.samples and warden.samples["e"].cpu_ms >= least)

    sample = warden.samples["e"]
    assert (sample.processes, sample.pss_bytes) == (1, None)
    assert sample.resident_bytes <= sample.peak_bytes < 500 * MIB
    await warden.stop("e", grace=timedelta(0))
    outcome = await ended(warden, "e")
    assert outcome.breach is None
    assert (outcome.peak_bytes or 0) >= sample.peak_bytes
    assert (outcome.cpu_ms or 0) >= sample.cpu_ms
    assert "e" not in warden.samples


async def test_a_broker_that_attaches_knows_the_last_reading_at_once(box: Box, warden: Warden) -> None:
    """Pages are not empty after a restart."""
    await box.start(warden, box.launch("e", DEAF))
    await until(lambda: "e" in warden.samples)
    await warden.release()

    successor = await box.attach()

    assert successor.samples["e"].processes == 1


async def test_an_end_is_told_again_until_a_broker_has_heard_of_it(box: Box, warden: Warden) -> None:
    """A broker that dies with the news unread on its socket takes nothing with it."""
    launch = box.launch("e", "import time; time.sleep(0.2)")
    await box.start(warden, launch)
    transport = warden._writer.transport
    transport.pause_reading()  # type: ignore[attr-defined]
    await until(launch.exit_file.exists)
    await gone(box.started[0].keeper_pid)
    warden._is_leaving = True  # a dead broker does not look for another warden
    transport.abort()

    successor = await box.attach()

    assert (await ended(successor, "e")).code == 0


async def test_a_fifo_as_standard_input_does_not_hold_up_the_start(box: Box, warden: Warden) -> None:
    """Not even before somebody writes to it; then it reads like a pipe."""
    fifo = box.folder / "fifo"
    os.mkfifo(fifo)
    held = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    launch = replace(box.launch("e", "print(input(), flush=True); print(input())"), stdin=fifo)
    await box.start(warden, launch)
    os.write(held, b"one\n")
    await box.says(launch, "one\n")
    os.write(held, b"two\n")
    assert (await ended(warden, "e")).code == 0
    os.close(held)
    assert launch.stdout.read_text() == "one\ntwo\n"


async def test_the_exit_file_knows_the_peak_of_the_whole_tree(box: Box, warden: Warden) -> None:
    """It outlives warden and broker, and the kernel alone would tell of the largest process only."""
    script = """
        import os, sys, time
        os.fork()
        block = bytearray(60 << 20)
        block[::4096] = b"x" * len(block[::4096])
        print("full", flush=True)
        time.sleep(60)
    """
    launch = replace(box.launch("e", script), memory_bytes=1000 * MIB)
    await box.start(warden, launch)
    await until(lambda: "e" in warden.samples and warden.samples["e"].peak_bytes > 120 * MIB)

    os.kill(warden.pid, signal.SIGKILL)

    outcome = await ended(warden, "e")
    assert (outcome.peak_bytes or 0) > 120 * MIB
    assert read_exit_file(launch.exit_file) == outcome


async def test_a_reading_tells_when_it_was_taken(box: Box, warden: Warden) -> None:
    """On the clock of start times, so that its age can be told."""
    started = await box.start(warden, box.launch("e", DEAF))

    await until(lambda: "e" in warden.samples)

    assert warden.samples["e"].taken_at_ticks > started.started_at_ticks


async def test_a_killed_keepers_tree_is_ended_by_the_warden(box: Box, warden: Warden) -> None:
    """Nobody else is there to look at it any more."""
    await box.start(warden, replace(box.launch("e", DEAF), memory_bytes=500 * MIB))
    await until(lambda: "e" in warden.samples)

    os.kill(box.started[0].keeper_pid, signal.SIGKILL)

    await ended(warden, "e")
    assert not is_alive(box.started[0].pid)
