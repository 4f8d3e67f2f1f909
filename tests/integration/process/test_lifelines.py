import asyncio
import os
import signal
from datetime import timedelta

import pytest

from kokino.errors import ProcessError
from kokino.process.client import Warden
from kokino.process.failures import WardenDied
from kokino.process.model import read_exit_file
from kokino.process.watching import gone
from tests.integration.process.box import DAEMON, DEAF, Box, at_once, ended, is_alive, pids_in, until

SLEEPS = "import time; print('up', flush=True); time.sleep(60)"
#: Runs until the file `go` appears beside it.
WAITS = """
    import os, time
    while not os.path.exists("go"):
        time.sleep(0.005)
    print("went")
"""


async def test_a_new_broker_finds_what_the_old_one_started(box: Box, warden: Warden) -> None:
    """Within the hold, a restarted broker adopts what runs: its pids, its end and its output."""
    launch = box.launch("e", WAITS)
    started = await box.start(warden, launch)
    await warden.release()

    successor = await box.attach()

    assert dict(successor.running) == {"e": started}
    assert successor.pid == warden.pid
    (box.folder / "go").touch()
    outcome = await ended(successor, "e")
    assert (outcome.code, outcome.was_stopped) == (0, False)
    assert launch.stdout.read_text() == "went\n"
    assert not warden.died.is_set()


async def test_an_end_that_no_broker_heard_is_told_to_the_next(box: Box, warden: Warden) -> None:
    """What ends between two brokers is not lost: the warden remembers it, and the exit file says the same."""
    launch = box.launch("e", WAITS)
    await box.start(warden, launch)
    await warden.release()
    (box.folder / "go").touch()
    await until(launch.exit_file.exists)

    successor = await box.attach()

    outcome = await ended(successor, "e")
    assert outcome == read_exit_file(launch.exit_file)
    assert not successor.running


async def test_without_a_broker_everything_ends_when_the_hold_is_over(box: Box) -> None:
    """Nobody came back: the trees are ended, their ends written down, and the warden goes."""
    warden = await box.attach(hold=timedelta(milliseconds=100))
    launches = [at_once(box.launch("deaf", DEAF)), box.launch("e", SLEEPS)]
    for launch in launches:
        await box.start(warden, launch)
        await box.says(launch, "\n")

    await warden.release()
    await gone(warden.pid)

    assert not any(is_alive(started.pid) for started in box.started)
    outcomes = [read_exit_file(launch.exit_file) for launch in launches]
    assert [outcome and (outcome.signal, outcome.was_stopped) for outcome in outcomes] == [
        (9, True),
        (15, True),
    ]
    assert not (box.folder / "run" / "warden.sock").exists()


async def test_close_ends_every_tree_and_the_warden(box: Box, warden: Warden) -> None:
    """After an orderly goodbye no process is left, and the ends are told before the connection closes."""
    await box.start(warden, box.launch("e", SLEEPS))
    await box.start(warden, at_once(box.launch("deaf", DEAF)))

    await warden.close()

    assert not is_alive(warden.pid)
    assert not any(is_alive(pid) for started in box.started for pid in (started.pid, started.keeper_pid))
    assert (await ended(warden, "e")).was_stopped
    assert not warden.died.is_set()
    with pytest.raises(WardenDied):
        await warden.start(box.launch("late", SLEEPS))


async def test_sigterm_to_the_warden_ends_everything(box: Box, warden: Warden) -> None:
    """An operator's plain kill is an orderly end, and the broker learns of it."""
    launch = box.launch("e", SLEEPS)
    await box.start(warden, launch)
    await box.says(launch, "up")

    os.kill(warden.pid, signal.SIGTERM)

    assert (await ended(warden, "e")).signal == 15
    await asyncio.wait_for(warden.died.wait(), 20)


async def test_when_the_warden_is_killed_the_keepers_end_their_trees(box: Box, warden: Warden) -> None:
    """SIGKILL of the warden leaves no process behind and every exit file written; the broker is told."""
    launches = [at_once(box.launch(f"deaf{number}", DEAF)) for number in range(3)]
    for launch in launches:
        await box.start(warden, launch)
        await box.says(launch, "\n")

    os.kill(warden.pid, signal.SIGKILL)

    outcomes = [await ended(warden, launch.id) for launch in launches]
    assert warden.died.is_set()
    assert [outcome.signal for outcome in outcomes] == [9, 9, 9]
    assert [read_exit_file(launch.exit_file) for launch in launches] == outcomes
    assert not any(is_alive(pid) for started in box.started for pid in (started.pid, started.keeper_pid))


async def test_when_warden_and_keeper_are_killed_nobody_knows_the_end(box: Box, warden: Warden) -> None:
    """The CLI dies with its keeper; what cannot be known is said, and nobody waits for ever."""
    started = await box.start(warden, box.launch("e", SLEEPS))

    os.kill(warden.pid, signal.SIGKILL)
    os.kill(started.keeper_pid, signal.SIGKILL)

    with pytest.raises(WardenDied, match="nobody saw how"):
        await ended(warden, "e")
    await gone(started.pid, started.started_at_ticks)


async def test_a_killed_warden_is_replaced(box: Box, warden: Warden) -> None:
    """The next one starts when the last tree of the dead one is empty; a start meanwhile waits for it."""
    launch = at_once(box.launch("deaf", DEAF))
    started = await box.start(warden, launch)
    await box.says(launch, "\n")
    killed = warden.pid
    os.kill(killed, signal.SIGKILL)
    await until(warden.died.is_set)

    assert (await box.run(warden, box.launch("e", "raise SystemExit(3)"))).code == 3

    assert warden.pid != killed
    assert not warden.died.is_set()
    assert not is_alive(started.pid)
    assert await ended(warden, "deaf") == read_exit_file(launch.exit_file)


async def test_a_warden_that_is_killed_while_it_greets_is_replaced(box: Box) -> None:
    """Half an answer is no answer: the broker that was just connecting starts a warden of its own."""
    path = box.folder / "run" / "warden.sock"
    path.parent.mkdir(mode=0o700)

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        path.unlink()
        server.close()
        writer.write(b'{"pid": 1, "runn')
        writer.close()

    server = await asyncio.start_unix_server(greet, path)

    warden = await box.attach()

    assert (await box.run(warden, box.launch("e", "raise SystemExit(3)"))).code == 3


async def test_when_a_keeper_is_killed_nothing_of_its_tree_lives_on(box: Box, warden: Warden) -> None:
    """The orphans fall to the warden, the hidden daemon too, and other executions do not notice."""
    launch = box.launch("e", DAEMON.replace("LAST", "time.sleep(60)"))
    started = await box.start(warden, launch)
    await until(lambda: launch.stdout.exists() and bool(pids_in(launch.stdout.read_text())))
    other = await box.start(warden, box.launch("other", SLEEPS))

    os.kill(started.keeper_pid, signal.SIGKILL)
    outcome = await ended(warden, "e")

    (daemon,) = pids_in(launch.stdout.read_text())
    assert not is_alive(daemon)
    assert not is_alive(started.pid)
    assert (outcome.signal, outcome.was_stopped, outcome.leftovers) == (9, False, 1)
    assert read_exit_file(launch.exit_file) == outcome
    assert is_alive(other.pid)
    assert is_alive(other.keeper_pid)


async def test_a_keeper_that_somebody_stopped_still_obeys(box: Box, warden: Warden) -> None:
    """A CLI that sends SIGSTOP to the process above it does not become immortal."""
    started = await box.start(warden, box.launch("e", SLEEPS))
    os.kill(started.keeper_pid, signal.SIGSTOP)

    await warden.stop("e")

    assert (await ended(warden, "e")).was_stopped


async def test_signals_to_groups_do_not_reach_a_keeper(box: Box, warden: Warden) -> None:
    """SIGINT, SIGTERM and SIGHUP pass over it: its tree would be unguarded."""
    started = await box.start(warden, box.launch("e", WAITS))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(started.keeper_pid, number)

    (box.folder / "go").touch()

    assert (await ended(warden, "e")).code == 0


async def test_a_second_broker_is_refused_and_told_who_is_first(box: Box, warden: Warden) -> None:
    """Two brokers would each think the other's executions lost."""
    await box.start(warden, box.launch("e", SLEEPS))

    with pytest.raises(ProcessError, match=f"the broker with pid {os.getpid()} holds it"):
        await box.attach()

    assert list(warden.running) == ["e"]
    await warden.stop("e")
    assert (await ended(warden, "e")).was_stopped


async def test_a_broker_that_comes_while_the_warden_ends_waits_for_a_new_one(
    box: Box, warden: Warden
) -> None:
    """When it is attached, nothing that an earlier broker started is alive any more."""
    await box.start(warden, at_once(box.launch("deaf", DEAF)))
    await warden.release()
    os.kill(warden.pid, signal.SIGTERM)

    successor = await box.attach()

    assert successor.pid != warden.pid
    assert not is_alive(box.started[0].pid)
    assert not successor.running


async def test_of_two_brokers_that_come_at_once_one_is_served(box: Box) -> None:
    """Both start a warden; one warden stays, one broker gets it, the other is refused with a reason."""
    results = await asyncio.gather(box.attach(), box.attach(), return_exceptions=True)

    refusals = [result for result in results if isinstance(result, ProcessError)]
    assert len(refusals) == 1
    assert "holds it" in refusals[0].message
    assert len(box.connections) == 1


async def test_a_caller_that_does_not_speak_the_protocol_disturbs_nobody(box: Box, warden: Warden) -> None:
    """Neither garbage nor silence on the socket costs an execution its warden."""
    started = await box.start(warden, box.launch("e", SLEEPS))
    silent = await asyncio.open_unix_connection(box.folder / "run" / "warden.sock")
    for garbage in (b"\x00\xff\n", b"[1]\n", b"{}\n"):
        reader, writer = await asyncio.open_unix_connection(box.folder / "run" / "warden.sock")
        writer.write(garbage)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()

    assert is_alive(started.pid)
    assert (await box.run(warden, box.launch("next", "raise SystemExit(2)"))).code == 2
    silent[1].close()
    await silent[1].wait_closed()
