"""Work one CLI by its terminal, as a person would: wait until it is ready, type, see it done, leave.

What it says is read elsewhere, from its records (`follow.py`); here only the screen is looked at.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kokino.agents.drivers.contract import Look, Sight
from kokino.agents.drivers.terminal.boxes import below_box
from kokino.agents.drivers.terminal.questions import is_menu_on
from kokino.agents.drivers.terminal.screen import ScreenReader, new_lines
from kokino.agents.failures import FailureKind
from kokino.executions.output.follow import Follow
from kokino.executions.stop import Stop
from kokino.executions.terminal.looks import PACE, Looks
from kokino.executions.terminal.questions import Questions
from kokino.executions.terminal.startup import Ready, become_ready
from kokino.executions.terminal.stranded import Stranded, quoted
from kokino.process.tmux.client import TmuxFailed
from kokino.process.tmux.terminal import Screen

#: How many looks a paste of a megabyte may take to be drawn.
UNTIL_PASTED = 200
#: After so many looks at the same screen the prompt has not left the box: Enter is pressed again.
UNTIL_SENT, ENTERS = 8, 8
#: So many looks without a change: a CLI of which only the screen tells is done. While one works it draws how
#: long it does.
QUIET = 50
#: So many where its box waits for a prompt, and something has been said.
QUIET_AT_PROMPT = 10
#: Tries to leave, and looks after each: then its tree is ended.
LEAVES, UNTIL_LEFT = 3, 15
#: So many looks at one that has ended may go by until its last words are drawn.
UNTIL_HEARD = 10

#: An Enter behind it is taken for something else: a file's name is completed, a line goes on.
CHANGED = re.compile(r"(?:^|\s)[@/#]\S*\Z|\\\Z")
NOTHING = Screen(())
ASKED = "it asks for a choice, and in tmux nobody answers a CLI that is read from its screen"


@dataclass(slots=True)
class Typist:
    """Works one process of an execution. `work` once; to end it early, cancel that and `halt`."""

    looks: Looks
    questions: Questions
    follow: Follow
    prompt: str
    #: The file that the screen's lines go to, where they are its records; None where it has its own.
    screen_file: Path | None
    #: How many processes it has; None where nobody has counted.
    processes: Callable[[], int | None]
    #: Why it did not get on.
    trouble: Stranded | None = None
    #: The prompt was put in, or may have been: it must not be put in a second time.
    was_typed: bool = False
    #: What it showed before the prompt was put in, and before it was sent.
    _empty: Screen = NOTHING
    _typed: Screen = NOTHING
    _idle_processes: int | None = None

    async def work(self) -> None:
        """From the start of the CLI to its end, or until the caller has seen that it ended."""
        try:
            ready = await become_ready(
                self.looks, is_blind=self._is_blind, execution_id=self.follow.execution.execution_id
            )
            self._idle_processes = self.processes()
            await self._send(ready)
            await self._see_it_done()
            await self._leave()
        except Stranded as trouble:
            self._give_up(trouble)
        except (TmuxFailed, OSError) as error:  # screens and prompts go by files: a full disk, say
            self._give_up(Stranded(FailureKind.CRASH, f"its terminal cannot be worked: {error}"))

    async def halt(self) -> None:
        """Stop what it does and leave, as a person would; `work` was cancelled before."""
        with suppress(TmuxFailed):
            await self.looks.press(self.looks.form.stop)
            await asyncio.sleep(PACE)
            await self.looks.press(self.looks.form.quit)

    async def last_screen(self) -> list[bytes]:
        """What it showed beneath what it had drawn, when it ended by itself: why, as a rule."""
        reader = self.follow.reader
        lines: Sequence[str] = []
        with suppress(TmuxFailed, OSError):
            if isinstance(reader, ScreenReader):
                async for screen, _ in self.looks.most(UNTIL_HEARD):
                    if reader.left(screen.lines):
                        break
            if not reader.is_final:
                lines = below_box((await self.looks.terminal.history()).lines)
        return [line.encode() for line in lines if line.strip()]

    async def _send(self, ready: Ready) -> None:
        """Paste the prompt and press Enter, until it has left the box."""
        self.was_typed, self._empty = True, ready.screen
        await self.looks.terminal.paste(self._as_text())
        screen = pasted = await self._steady_after(ready.screen)
        has_box = True
        for _ in range(ENTERS):
            if has_box:
                await self._enter()
            async for screen, look in self.looks.most(UNTIL_SENT):
                if self._has_left(look, screen, pasted, ready.box):
                    return
                # What has come over the box would take another Enter for its answer.
                has_box = self._is_blind or look.box is not None
        said = "the prompt stays in its box" if has_box else "what it shows instead of its box is not known"
        raise Stranded(FailureKind.PROTOCOL, f"{said}; its screen: {quoted(screen.text)}")

    async def _enter(self) -> None:
        if self._is_blind:
            self._typed = await self.looks.terminal.history()
        await self.looks.terminal.keys("Enter")

    async def _steady_after(self, before: Screen) -> Screen:
        """The screen once the paste is drawn, all of it."""
        last: Screen | None = None
        async for screen, _ in self.looks.most(UNTIL_PASTED):
            if screen == last and screen.text != before.text:
                return screen
            last = screen
        raise Stranded(FailureKind.PROTOCOL, "it does not show the prompt that was pasted")

    def _has_left(self, look: Look, screen: Screen, pasted: Screen, empty_box: str | None) -> bool:
        if self.follow.reader.is_final or look.sight in {Sight.WORKING, Sight.ASKING}:
            return True
        if self._is_blind and empty_box is None:
            return screen.text != pasted.text
        if self._is_blind and is_menu_on(screen.text):
            return True  # another Enter would choose
        # A paste may go on being drawn behind an Enter: that the box has changed is no proof.
        return look.box in {"", empty_box}

    async def _see_it_done(self) -> None:
        quiet, last = 0, ""
        async for screen, look in self.looks.most(None):
            if self.follow.is_final.is_set():
                return
            await self.questions.see(look)
            if screen.text != last:
                quiet, last = 0, screen.text
                self._stir()
            quiet += 1
            if self._is_blind:
                await self._tell_lines_if_done(screen, look, quiet)
            elif look.sight is Sight.READY and quiet >= QUIET and self._are_tools_done():
                self.follow.settle()  # it waits for a prompt, whatever its records leave open

    async def _leave(self) -> None:
        """Press what ends it, again where it did not hear; whatever is left then is ended as a tree."""
        async for _screen, look in self.looks.most(UNTIL_LEFT):
            if look.sight is Sight.READY or self._is_blind:
                break  # while it works, its keys mean something else
        for _ in range(LEAVES):
            await self.looks.press(self.looks.form.quit)
            async for _seen in self.looks.most(UNTIL_LEFT):
                pass
        self.follow.interrupt(Stop.LINGER)

    @property
    def _is_blind(self) -> bool:
        """Only the screen tells of this CLI."""
        return self.screen_file is not None

    def _as_text(self) -> str:
        """The prompt, with blanks where it would be a command, or an Enter would change its last word."""
        text = self.prompt.rstrip("\n")
        before = " " if text[:1] in tuple(self.looks.form.commands) else ""
        behind = " " if CHANGED.search(text) else ""
        return f"{before}{text}{behind}"

    def _stir(self) -> None:
        """Of a CLI without records, a screen that changes is its output."""
        if self._is_blind:
            self.follow.woke()

    def _are_tools_done(self) -> bool:
        now = self.processes()
        return now is None or self._idle_processes is None or now <= self._idle_processes

    async def _tell_lines_if_done(self, shown: Screen, look: Look, quiet: int) -> None:
        """Done is what stands still and does not say that it works; sooner, where its box waits again."""
        if look.sight is Sight.READY:
            if quiet == QUIET_AT_PROMPT or quiet >= QUIET:
                await self._tell_lines(is_early=quiet < QUIET)
        elif look.sight is not Sight.WORKING and quiet >= QUIET and self._are_tools_done():
            if is_menu_on(shown.text):
                raise Stranded(FailureKind.PERMISSION, f"{ASKED}; its screen: {quoted(shown.text)}")
            await self._tell_lines(is_early=False)

    async def _tell_lines(self, *, is_early: bool) -> None:
        """Hand the answer to whoever follows, once there is one: as one piece of output."""
        reader, file = self.follow.reader, self.screen_file
        if not isinstance(reader, ScreenReader) or file is None or file.exists():
            return
        after = await self.looks.terminal.history()
        came = new_lines(self._empty.lines, self._typed.lines, after.lines, self.prompt)
        lines = reader.turn(came, self.prompt)
        if not lines or (is_early and not reader.tells_end(lines)):
            return
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        reader.expect(len(lines))

    def _give_up(self, trouble: Stranded) -> None:
        self.trouble = trouble
        self.follow.interrupt(Stop.STRANDED)
