"""One agent's terminal: a window of its own, in which one CLI after the other is started."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from kokino.process import tree
from kokino.process.tmux.client import TmuxClient, TmuxFailed, TmuxSilent

#: Columns and lines: wide enough for a table, and the same whoever looks.
SIZE = (160, 50)
#: How often the holder is asked whether it has let go of its terminal, and how long that may take.
PAUSE, TRIES = 0.01, 1000
#: What is passed on by a file, as its name ends.
PASSED = PASTE, SCREEN = "paste", "screen"
_FIELDS = "#{pane_id} #{pane_pid} #{pane_tty}"


class Gone(StrEnum):
    """How a terminal was lost. Who did it is not told: tmux says nothing of it."""

    #: Its window was closed; the server goes on, and with it the terminals of all other agents.
    WINDOW = "window"
    #: The tmux server went, and with it the terminals of all agents.
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Screen:
    """What a terminal shows, perhaps with what has scrolled out of it since its CLI was started."""

    #: All lines, the oldest first, without the spaces at their ends.
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The part that is seen, without the empty lines at its end."""
        return "\n".join(self.lines[-SIZE[1] :]).rstrip()


@dataclass(slots=True)
class Terminal:
    """Keys go in, a screen comes out; the CLI in it is started and ended by its keeper."""

    client: TmuxClient
    #: tmux's own name of the session that holds its window: ``$3``.
    session: str
    #: What tmux starts in its pane.
    holder: tuple[str, ...]
    #: Where screens and prompts are passed on, private.
    folder: Path
    _pane: str = ""
    _tty: Path = Path()
    #: One text on its way at a time: who looks and who answers a question would take each other's file, and a
    #: screen could be pasted for a prompt.
    _passing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def tty(self) -> Path:
        """The terminal itself: what the CLI gets for its three streams."""
        return self._tty

    async def renew(self) -> None:
        """Begin anew: another terminal in the same window, empty, in its first state. Raises `TmuxFailed`."""
        target = f"{self.session}:"
        await self.client.run("respawn-pane", "-k", "-t", target, *self.holder)
        await self.client.run("clear-history", "-t", target)
        await self.say("")
        (line,) = await self.client.run("display-message", "-p", "-t", target, _FIELDS)
        self._pane, pid, tty = line.split(" ")
        self._tty = Path(tty)
        await self._let_go(int(pid))

    async def say(self, text: str) -> None:
        """Have whoever attaches read it below the screen, until it begins anew. Raises `TmuxFailed`."""
        await self.client.run("set-option", "-w", "-t", f"{self.session}:", "@said", text)

    async def _let_go(self, pid: int) -> None:
        """Return when no session has the terminal any more: whoever opens it next gets it."""
        for _ in range(TRIES):
            # Its own argv: before it runs, it is a fork of tmux that has no terminal yet.
            if tree.argv_of(pid) == self.holder and not tree.has_terminal(pid):
                return
            await asyncio.sleep(PAUSE)
        raise TmuxFailed("the pane's holder does not let go of its terminal")

    async def keys(self, *names: str) -> None:
        """Press keys, by tmux's names for them; a mode that somebody has begun is left first."""
        await self._leave_modes()
        await self.client.run("send-keys", "-t", self._pane, *names)

    async def paste(self, text: str) -> None:
        """Put a text in as one bracketed paste, whatever its size; nothing in it can act as a key."""
        async with self._passing:
            file = self._file(PASTE)
            await asyncio.to_thread(_write, file, pasteable(text))
            try:
                await self._leave_modes()
                await self.client.run("load-buffer", "-b", self._name, str(file))
                await self.client.run("paste-buffer", "-p", "-r", "-d", "-b", self._name, "-t", self._pane)
            finally:
                file.unlink(missing_ok=True)

    async def screen(self) -> Screen:
        """What it shows now, the part that is seen: looks come ten times a second. Raises `TmuxFailed`."""
        return await self._look()

    async def history(self) -> Screen:
        """What it shows, beneath all that has scrolled out of it: up to megabytes. Raises `TmuxFailed`."""
        return await self._look("-S", "-")

    async def _look(self, *part: str) -> Screen:
        async with self._passing:
            captured = await self._captured(*part)
        text = captured.decode("utf-8", "replace").removesuffix("\n")
        return Screen(tuple(line.rstrip() for line in text.split("\n")))

    async def _captured(self, *part: str) -> bytes:
        """By a file: what an agent writes must not come between the answers of tmux."""
        file = self._file(SCREEN)
        await self.client.run("capture-pane", "-J", *part, "-b", self._name, "-t", self._pane)
        try:
            await self.client.run("save-buffer", "-b", self._name, str(file))
            await self.client.run("delete-buffer", "-b", self._name)
            return await asyncio.to_thread(file.read_bytes)
        finally:
            file.unlink(missing_ok=True)

    async def gone(self) -> Gone | None:
        """How it was lost, so that nothing can be shown in it any more; None where it is there.

        Raises `TmuxSilent` where nobody can tell.
        """
        try:
            lines = await self.client.run("display-message", "-p", "-t", self._pane, "#{pane_dead}")
        except TmuxSilent:
            raise
        except TmuxFailed:
            return Gone.SERVER if self.client.gone.is_set() else Gone.WINDOW
        # Of a pane that is not there it prints nothing; of one whose holder has ended, 1.
        return None if lines == ("0",) else Gone.WINDOW

    async def tidy(self) -> None:
        """Delete what tmux has written for a look that was cut off, once it has answered something since."""
        async with self._passing:
            for kind in PASSED:
                self._file(kind).unlink(missing_ok=True)

    async def _leave_modes(self) -> None:
        """Copy mode, a clock, a list of windows: a key would be theirs. Only copy mode knows ``cancel``."""
        await self.client.run("copy-mode", "-q", "-t", self._pane)

    @property
    def _name(self) -> str:
        return f"kokino{self.session[1:]}"

    def _file(self, kind: str) -> Path:
        return self.folder / f"{self._name}.{kind}"


def pasteable(text: str) -> str:
    """A text without control characters: one of them could end the paste, and the rest would be keys."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(sign for sign in unified if sign in "\n\t" or not _is_control(sign))


def _is_control(sign: str) -> bool:
    return sign < " " or "\x7f" <= sign <= "\x9f"


def _write(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")
