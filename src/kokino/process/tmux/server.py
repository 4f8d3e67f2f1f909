"""The broker's own tmux server: started when the first terminal is asked for, under the warden like a CLI."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import structlog

from kokino.errors import ProcessError
from kokino.process.client import Warden
from kokino.process.model import Launch
from kokino.process.tmux import holder
from kokino.process.tmux.client import LEAVING, TmuxClient, TmuxFailed, TmuxSilent
from kokino.process.tmux.terminal import PASSED, SIZE, Terminal

log = structlog.get_logger(__name__)

#: By this name the warden knows it, beside the executions.
LAUNCH = "tmux"
#: The session that the broker's client sits in; no agent's. Theirs are named behind it.
OWN = "kokino"
NOTICE = "This window is the broker's own. `kokino attach AGENT` shows an agent's.\r\n"
#: How often its socket is looked for once it runs, and how long that may take.
PAUSE, TRIES = 0.01, 1000
#: What it and its holders may take: some MiB for each agent.
MEMORY, PROCESSES, OUTPUT = 4 << 30, 20_000, 16 << 20
#: Nothing of the machine's or the person's own settings is read: this is all that is set.
OPTIONS = (
    ("set-option", "-s", "exit-unattached", "off"),
    # A program in a pane must not reach the clipboard of whoever looks.
    ("set-option", "-s", "set-clipboard", "off"),
    ("set-option", "-g", "remain-on-exit", "on"),
    ("set-option", "-g", "history-limit", "20000"),
    ("set-option", "-g", "allow-rename", "off"),
    ("set-option", "-g", "automatic-rename", "off"),
    ("set-option", "-g", "set-titles", "off"),
    ("set-option", "-g", "status-style", "bg=colour236,fg=colour252"),
    ("set-option", "-g", "status-left", "#[bold] kokino #[nobold]· #{window_name} #{?@said,· #{@said} ,}"),
    ("set-option", "-g", "status-left-length", "140"),
    ("set-option", "-g", "status-right", "#{?client_readonly,read-only · ,}C-b d leaves "),
    ("set-option", "-g", "window-status-format", ""),
    ("set-option", "-g", "window-status-current-format", ""),
)


class TmuxMissing(ProcessError):
    """There is no tmux on the PATH."""

    code = "tmux_missing"


@dataclass(slots=True)
class TmuxServer:
    """Gives each agent a terminal. Nobody else's tmux is ever spoken to: the socket is the broker's own."""

    warden: Warden
    #: Where its socket lies: short, private, and the home's own.
    folder: Path
    #: Below it what it says goes to a folder of its own.
    spool: Path
    environment: Mapping[str, str]
    _client: TmuxClient | None = None
    _terminals: dict[str, Terminal] = field(default_factory=dict)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "tmux"

    @property
    def fault(self) -> str | None:
        """Why no terminal can be had, for a person; None where one can."""
        return why_missing(self.environment)

    async def terminal(self, agent_id: str) -> Terminal:
        """The agent's terminal, renewed. Raises `TmuxMissing` and `ProcessError`."""
        async with self._opening:
            if self._client is None or self._client.gone.is_set():
                await self._start()
            try:
                return await self._renewed(agent_id)
            except TmuxSilent as error:  # no terminal of it can be worked any more, whoever's it is
                log.warning("the tmux server hangs; another one takes its place", reason=str(error))
                await self._start()
                return await self._open(agent_id)

    def shown(self, agent_id: str) -> Terminal | None:
        """The agent's terminal as it is; None where it has had none."""
        is_there = self._client is not None and not self._client.gone.is_set()
        return self._terminals.get(agent_id) if is_there else None

    async def forget(self, agent_id: str) -> None:
        """End the terminal of an agent that is no more, with whatever runs in it."""
        # Not behind those that are being opened: a server that hangs must keep nobody from removing an agent.
        terminal = self._terminals.pop(agent_id, None)
        if terminal is not None:
            with suppress(TmuxFailed, TimeoutError):  # it is gone already, or goes once tmux answers again
                async with asyncio.timeout(LEAVING):
                    await terminal.client.run("kill-session", "-t", terminal.session)

    async def close(self) -> None:
        """Let go of the server; the warden ends it, one that hangs at once."""
        client, self._client = self._client, None
        self._terminals.clear()
        if client is None:
            return
        try:
            await client.close()
        except TmuxSilent as error:
            log.warning("the tmux server hangs and is ended", reason=str(error))
            await self._end()
            with suppress(TmuxSilent):
                await client.close()

    async def _renewed(self, agent_id: str) -> Terminal:
        terminal = self._terminals.get(agent_id)
        if terminal is None or await terminal.gone() is not None:
            return await self._open(agent_id)
        await terminal.renew()
        return terminal

    async def _open(self, agent_id: str) -> Terminal:
        client = self._client
        assert client is not None  # noqa: S101 - the caller has started it
        hold, name = _holder(""), session_name(agent_id)
        with suppress(TmuxFailed):  # what a holder that ended has left there
            await client.run("kill-session", "-t", f"={name}")
        made = ("new-session", "-d", "-P", "-F", "#{session_id}", "-s", name, "-n", agent_id)
        size = ("-x", str(SIZE[0]), "-y", str(SIZE[1]))
        (session,) = await client.run(*made, *size, *hold)
        # For each window: set for all, tmux 3.3a dies of a window that nobody has given a size.
        await client.run("set-option", "-w", "-t", f"{session}:", "window-size", "manual")
        terminal = Terminal(client, session, hold, self.folder)
        await terminal.renew()
        self._terminals[agent_id] = terminal
        return terminal

    async def _start(self) -> None:
        """Start a server, in the place of one that was killed; then sit in it."""
        try:
            await self._start_once()
        except TmuxSilent:
            raise
        except TmuxFailed as error:
            # That of a warden that is ending takes the socket's file along, which has the same name.
            log.info("the tmux server is started anew", reason=str(error))
            await self._start_once()

    async def _start_once(self) -> None:
        await self.close()
        program = self._program()
        if program is None:
            raise TmuxMissing(str(self.fault))
        await self._end_earlier()
        started = await self.warden.start(await asyncio.to_thread(self._launch, program))
        log.info("a tmux server runs", pid=started.pid, socket=str(self.socket))
        await self._listens()
        own = (OWN, *_holder(NOTICE))
        client = await TmuxClient.attach(self._at(program), own, self._variables())
        try:
            for option in OPTIONS:
                await client.run(*option)
        except BaseException:  # without its options no terminal is as it should be: the next one asks anew
            with suppress(TmuxSilent):  # it goes with the server; why nobody gets it is said already
                await client.close()
            raise
        self._client = client

    async def _end_earlier(self) -> None:
        await self._end()
        # What a broker that was killed had on its way: the prompt of an agent, say.
        for left in (self.socket, *(file for kind in PASSED for file in self.folder.glob(f"{OWN}*.{kind}"))):
            left.unlink(missing_ok=True)

    async def _end(self) -> None:
        with suppress(ProcessError):
            await self.warden.stop(LAUNCH, grace=timedelta(seconds=1))
            await self.warden.ended(LAUNCH)

    async def _listens(self) -> None:
        for _ in range(TRIES):
            if self.socket.exists():
                return
            await asyncio.sleep(PAUSE)
        said = (self.spool / LAUNCH / "stderr").read_text(encoding="utf-8", errors="replace").strip()
        raise TmuxFailed(f"the tmux server does not listen on {self.socket}: {said or 'it says nothing'}")

    def _launch(self, program: str) -> Launch:
        spool = self.spool / LAUNCH
        shutil.rmtree(spool, ignore_errors=True)
        spool.mkdir(mode=0o700, parents=True)
        return Launch(
            id=LAUNCH,
            # In the foreground: its keeper sees it end, and it ends with its keeper.
            argv=(*self._at(program), "-f", "/dev/null", "-D"),
            env=self._variables(),
            cwd=Path("/"),
            stdin=None,
            stdout=spool / "stdout",
            stderr=spool / "stderr",
            exit_file=spool / "exit",
            grace=timedelta(seconds=1),
            memory_bytes=MEMORY,
            processes=PROCESSES,
            spool_bytes=OUTPUT,
        )

    def _at(self, program: str) -> tuple[str, ...]:
        return (program, "-S", str(self.socket), "-u")

    def _program(self) -> str | None:
        return shutil.which("tmux", path=self.environment.get("PATH"))

    def _variables(self) -> dict[str, str]:
        kept = {name: self.environment[name] for name in ("PATH", "HOME") if name in self.environment}
        return {**kept, "LANG": "C.UTF-8", "SHELL": "/bin/sh", "TERM": "xterm-256color"}


def why_missing(environment: Mapping[str, str]) -> str | None:
    """Why there is no tmux, and what to do; None where there is one."""
    path = environment.get("PATH")
    if shutil.which("tmux", path=path) is not None:
        return None
    return (
        f"tmux is not on the broker's PATH ({path}); install it (apt-get install tmux) and restart the broker"
    )


def session_name(agent_id: str) -> str:
    """What `tmux ls` calls an agent's session, another one for each agent.

    tmux takes no full stop in it and would make an underscore of one: ``a.b`` would be ``a_b``'s.
    """
    return f"{OWN}/{agent_id.replace('.', chr(0xB7))}"


def _holder(text: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", str(holder.__file__), text)
