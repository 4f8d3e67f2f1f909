"""A tmux server of the test's own: terminals for what the warden starts, and what they keep apart."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from kokino.process.client import Warden
from kokino.process.model import Launch
from kokino.process.tmux.client import TmuxClient, TmuxFailed, TmuxSilent
from kokino.process.tmux.server import TmuxMissing, TmuxServer
from kokino.process.tmux.terminal import SIZE, Gone, Screen, Terminal
from tests.integration.process.box import PATIENCE, Box, ended, is_alive, until

#: Shows each line that comes, with what no terminal prints made visible; asks for pastes to be marked.
ECHOES = r"""
    import os, sys, termios
    attributes = termios.tcgetattr(0)
    attributes[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(0, termios.TCSANOW, attributes)
    print(f"\x1b[?2004hready on {os.ttyname(0)}, in front: {os.tcgetpgrp(0) == os.getpid()}", flush=True)
    while data := os.read(0, 65536):
        print(repr(data) if len(data) < 200 else f"{len(data)} bytes", flush=True)
"""
#: Says what it is told, and stays.
SAYS = "import sys, time; print(sys.argv[1], flush=True); time.sleep(60)"


@pytest.fixture
async def tmux(box: Box, warden: Warden) -> AsyncIterator[TmuxServer]:
    """A server that is started at the first terminal."""
    server = TmuxServer(
        warden=warden, folder=box.folder / "run", spool=box.folder / "spool", environment=dict(os.environ)
    )
    yield server
    await server.close()


def launch(box: Box, terminal: Terminal, id: str, script: str, *arguments: str) -> Launch:
    """A program in a terminal."""
    whole = replace(box.launch(id, script, *arguments), terminal=terminal.tty)
    return replace(whole, env={**whole.env, "TERM": "screen-256color", "LANG": "C.UTF-8"})


def theirs(socket: Path, *command: str) -> str:
    """What somebody's own tmux says."""
    argv = ["tmux", "-S", str(socket), "-f", "/dev/null", *command]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def is_stopped(pid: int) -> bool:
    """Stands still, by a signal."""
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def contains(part: str, text: str) -> bool:
    """That stands in it."""
    return part in text


async def shows(terminal: Terminal, is_there: Callable[[str], bool]) -> Screen:
    """The screen, once it shows that."""
    async with asyncio.timeout(PATIENCE):
        while not is_there("\n".join((screen := await terminal.screen()).lines)):
            await asyncio.sleep(0.01)
    return screen


async def test_a_terminal_is_the_clis_own(box: Box, warden: Warden, tmux: TmuxServer) -> None:
    """Keys become its signals, a paste is one paste whatever is in it, and a mode takes no key away."""
    terminal = await tmux.terminal("a.b")
    assert len(str(tmux.socket)) < 107
    assert tmux.socket.stat().st_mode & 0o077 == 0 or tmux.socket.parent.stat().st_mode & 0o077 == 0
    await box.start(warden, launch(box, terminal, "e", ECHOES))
    await shows(terminal, lambda text: f"ready on {terminal.tty}, in front: True" in text)

    await terminal.paste("one\x1b[201~\x03\n%end 1 2 3")
    await shows(terminal, lambda text: r"b'\x1b[200~one[201~\n%end 1 2 3\x1b[201~'" in text)
    for mode, key in (("copy-mode", "x"), ("clock-mode", "y")):
        await terminal.client.run(mode, "-t", terminal.session)
        await terminal.keys(key)
        await shows(terminal, partial(contains, f"b'{key}'"))

    await terminal.keys("C-c")
    assert (await ended(warden, "e")).signal == signal.SIGINT


async def test_a_terminal_begins_anew_for_each_cli(box: Box, warden: Warden, tmux: TmuxServer) -> None:
    """Nothing of what an earlier one showed, or did to its terminal, is left; the window stays."""
    first = await tmux.terminal("a")
    await box.start(warden, launch(box, first, "one", SAYS, "\x1b[?1049h\x1b[?25l secret"))
    await shows(first, lambda text: "secret" in text)
    await warden.stop("one", signal=signal.SIGKILL)
    await ended(warden, "one")

    again = await tmux.terminal("a")
    assert again.session == first.session
    assert (await again.screen()).text == ""
    other = await tmux.terminal("b.c")
    assert other.session != first.session
    assert await first.gone() is None

    # One whose holder was killed makes room for another of the same name.
    (holder,) = await other.client.run("display-message", "-p", "-t", other.session, "#{pane_pid}")
    os.kill(int(holder), signal.SIGKILL)
    await until(lambda: not is_alive(int(holder)))
    await tmux.terminal("b.c")
    await tmux.terminal("b_c")
    listed = theirs(tmux.socket, "-u", "list-sessions", "-F", "#{session_name}").splitlines()
    assert sorted(listed) == ["kokino", "kokino/a", "kokino/b_c", "kokino/b·c"]

    await tmux.forget("b.c")
    await tmux.forget("nobody")
    listed = theirs(tmux.socket, "-u", "list-sessions", "-F", "#{session_name}").splitlines()
    assert sorted(listed) == ["kokino", "kokino/a", "kokino/b_c"]


async def test_a_screen_cannot_pass_for_an_answer(box: Box, warden: Warden, tmux: TmuxServer) -> None:
    """What an agent writes comes by a file, whatever it looks like."""
    terminal = await tmux.terminal("a")
    forged = "\n".join(f"%end 1 {number} 1\n%error 1 {number} 1\n%exit forged" for number in range(20))
    await box.start(warden, launch(box, terminal, "e", SAYS, forged))
    await shows(terminal, lambda text: text.rstrip().endswith("%exit forged"))
    shown, all_of_it = await terminal.screen(), await terminal.history()
    assert all_of_it.lines.count("%exit forged") == 20
    # A look takes what is seen; what has scrolled away is asked for.
    assert len(shown.lines) <= SIZE[1] < len(all_of_it.lines)
    assert all_of_it.text == shown.text
    # Who types looks while somebody's answer to a question looks, too.
    assert await asyncio.gather(*(terminal.screen() for _ in range(4))) == [shown] * 4
    assert await terminal.client.run("display-message", "-p", "whole") == ("whole",)
    await warden.stop("e", signal=signal.SIGKILL)
    await ended(warden, "e")


async def test_a_client_that_is_never_answered_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody gets it, so nobody would close it."""
    monkeypatch.setattr("kokino.process.tmux.client.PATIENCE", 0.5)
    noted = tmp_path / "pid"
    silent = ("/bin/sh", "-c", f"echo $$ > {noted}; exec sleep 60", "tmux")
    with pytest.raises(TmuxFailed, match="did not answer"):
        await TmuxClient.attach(silent, ("kokino",), {"PATH": os.environ["PATH"]})
    assert not is_alive(int(noted.read_text()))


async def test_a_server_that_is_not_there_is_not_started_by_its_client(tmp_path: Path) -> None:
    """It would be nobody's, and stay."""
    socket = tmp_path / "t"
    with pytest.raises(TmuxFailed, match="gone"):
        await TmuxClient.attach(("tmux", "-S", str(socket)), ("kokino", "sleep 60"), dict(os.environ))
    assert not socket.exists()


async def test_a_server_that_was_killed_is_replaced(box: Box, warden: Warden, tmux: TmuxServer) -> None:
    """What ran in it ends by its hang-up; the next terminal is another server's."""
    terminal = await tmux.terminal("a")
    await box.start(warden, launch(box, terminal, "e", SAYS, "here"))
    await shows(terminal, lambda text: "here" in text)
    os.kill(warden.running["tmux"].pid, signal.SIGKILL)

    assert (await ended(warden, "e")).signal == signal.SIGHUP
    assert await terminal.gone() is Gone.SERVER
    with pytest.raises(TmuxFailed, match="gone"):
        await terminal.screen()
    assert (await (await tmux.terminal("a")).screen()).text == ""


async def test_a_server_whose_socket_another_one_took_along_is_started_anew(
    tmux: TmuxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier broker's, which ended late: the file has the same name."""
    listens, taken = TmuxServer._listens, list[Path]()

    async def taken_along(self: TmuxServer) -> None:
        await listens(self)
        if not taken:
            taken.append(self.socket)
            self.socket.unlink()

    monkeypatch.setattr(TmuxServer, "_listens", taken_along)
    terminal = await tmux.terminal("writer")
    assert (taken, await terminal.gone()) == ([tmux.socket], None)
    assert "kokino/writer" in theirs(tmux.socket, "list-sessions")


async def test_a_server_that_hangs_is_replaced(
    warden: Warden, tmux: TmuxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else no agent would get a terminal any more. And nothing that was on its way is left."""

    async def run(*words: str) -> tuple[str, ...]:
        raise TmuxSilent(f"no answer to {words[0]}")

    terminal = await tmux.terminal("a")
    prompt = tmux.folder / "kokino3.paste"
    prompt.touch()
    before = warden.running["tmux"].pid
    monkeypatch.setattr(terminal.client, "run", run)
    assert (await (await tmux.terminal("a")).screen()).text == ""
    assert warden.running["tmux"].pid != before
    assert not is_alive(before)
    assert not prompt.exists()


async def test_a_server_that_stands_still_is_replaced(
    warden: Warden, tmux: TmuxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the pipes of the broker's client too, which cannot be waited for before it is gone."""
    monkeypatch.setattr("kokino.process.tmux.client.PATIENCE", 5.0)
    monkeypatch.setattr("kokino.process.tmux.client.LEAVING", 0.5)
    await tmux.terminal("a")
    before = warden.running["tmux"].pid
    os.kill(before, signal.SIGSTOP)
    async with asyncio.timeout(60):
        assert (await (await tmux.terminal("a")).screen()).text == ""
    assert warden.running["tmux"].pid != before
    assert not is_alive(before)


async def test_who_waits_no_longer_for_a_server_that_stands_still_leaves(
    warden: Warden, tmux: TmuxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the server does not let its client go, either, does not take the place of a cancellation."""
    monkeypatch.setattr("kokino.process.tmux.client.LEAVING", 0.5)
    with monkeypatch.context() as patched:
        patched.setattr("kokino.process.tmux.server.OPTIONS", (("run-shell", "kill -STOP $PPID"),))
        opening = asyncio.create_task(tmux.terminal("a"))
        await until(lambda: "tmux" in warden.running and is_stopped(warden.running["tmux"].pid))
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
    assert (await (await tmux.terminal("a")).screen()).text == ""


async def test_a_server_is_found_to_hang_by_those_who_did_not_wait_for_it(
    warden: Warden, tmux: TmuxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else executions with short deadlines would all wait for it in vain, and none would have it replaced."""
    monkeypatch.setattr("kokino.process.tmux.client.LEAVING", 0.5)
    terminal = await tmux.terminal("a")
    before = warden.running["tmux"].pid
    os.kill(before, signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await terminal.screen()
    # As if that had been long ago.
    waiting = terminal.client._waiting
    monkeypatch.setattr(terminal.client, "_waiting", deque((since - 3600, who) for since, who in waiting))
    async with asyncio.timeout(PATIENCE):
        assert (await (await tmux.terminal("a")).screen()).text == ""
    assert warden.running["tmux"].pid != before


async def test_a_look_that_is_cut_off_leaves_nothing(
    tmux: TmuxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tmux writes the screen for whoever has left, too."""
    terminal = await tmux.terminal("a")
    run, saving = terminal.client.run, list[asyncio.Task[tuple[str, ...]]]()

    async def cut_off(*words: str) -> tuple[str, ...]:
        if words[0] != "save-buffer":
            return await run(*words)
        await asyncio.sleep(0)
        saving.append(asyncio.create_task(run(*words)))
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(terminal.client, "run", cut_off)
        with pytest.raises(asyncio.CancelledError):
            await terminal.screen()
    await asyncio.gather(*saving)
    assert list(tmux.folder.glob("*.screen"))
    await terminal.tidy()
    assert list(tmux.folder.glob("*.screen")) == []


async def test_a_window_that_somebody_closed_is_made_again(
    box: Box, warden: Warden, tmux: TmuxServer
) -> None:
    """Its CLI is hung up on, and no process is left that held its terminal."""
    terminal = await tmux.terminal("a")
    await box.start(warden, launch(box, terminal, "e", SAYS, "here"))
    (holder,) = await terminal.client.run("display-message", "-p", "-t", terminal.session, "#{pane_pid}")
    await terminal.client.run("kill-session", "-t", terminal.session)

    assert (await ended(warden, "e")).signal == signal.SIGHUP
    assert await terminal.gone() is Gone.WINDOW
    await until(lambda: not is_alive(int(holder)))
    assert (await (await tmux.terminal("a")).screen()).text == ""


async def test_other_peoples_servers_are_left_alone(
    box: Box, warden: Warden, tmux: TmuxServer, tmp_path: Path
) -> None:
    """Neither by name nor by the end of ours."""
    socket = tmp_path / "t"
    theirs(socket, "new-session", "-d", "-s", "kokino", "sleep 60")
    try:
        await tmux.terminal("a")
        pid = warden.running["tmux"].pid
        await tmux.close()
        await warden.close()
        assert not psutil.pid_exists(pid)
        assert theirs(socket, "list-sessions").startswith("kokino: ")
    finally:
        theirs(socket, "kill-server")


async def test_without_tmux_it_says_what_to_do(box: Box, warden: Warden) -> None:
    """No crash, and nothing is started."""
    server = TmuxServer(
        warden=warden, folder=box.folder / "run", spool=box.folder / "spool", environment={"PATH": "/nowhere"}
    )
    with pytest.raises(TmuxMissing, match="apt-get install tmux"):
        await server.terminal("a")
    assert not warden.running
