"""Work one CLI by its terminal, as a person would: wait until it is ready, type, see it done, leave.

What it says is read elsewhere, from its records (`follow.py`); here only the screen is looked at. Looks are
counted, not timed: they follow a real process, whatever clock the broker has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from kokino.agents.drivers.contract import Interactive, Look, PermissionRequest, Sight
from kokino.agents.drivers.terminal.boxes import below_box
from kokino.agents.drivers.terminal.screen import ScreenReader, new_lines
from kokino.agents.drivers.text import one_line
from kokino.agents.failures import FailureKind
from kokino.agents.model import Permissions
from kokino.clock import Clock
from kokino.errors import Conflict, Fault, Invalid
from kokino.executions.at_terminal import Stranded
from kokino.executions.ending import Stop
from kokino.executions.follow import Follow
from kokino.executions.model import Waiting
from kokino.process.tmux.client import TmuxFailed
from kokino.process.tmux.terminal import Screen, Terminal

log = structlog.get_logger(__name__)

#: Between two looks at a screen, in seconds: about as often as a CLI draws.
LOOK_AGAIN = 0.1
#: How many looks a CLI may take to be ready: the slowest known takes four seconds, and a machine may be busy.
UNTIL_READY = 600
#: How many looks a paste of a megabyte may take to be drawn.
UNTIL_PASTED = 200
#: After so many looks at the same screen the prompt has not left the box: Enter is pressed again.
UNTIL_SENT, ENTERS = 8, 8
#: So many looks without a change: a CLI of which only the screen tells is ready, or done. While one works it
#: draws how long it does.
QUIET_START, QUIET_END = 15, 50
#: Between keys that mean something else when they come at once, in seconds.
PACE = 0.1
#: Tries to leave, and looks after each: then its tree is ended.
LEAVES, UNTIL_LEFT = 3, 15
#: A dialog that has been answered is not answered again for so many looks: a busy machine draws late, and the
#: next dialog must not get what was meant for this one.
UNTIL_ANSWERED = 50
#: The last lines of a screen that are quoted where it is the reason.
QUOTED = 12


@dataclass(slots=True)
class Answered:
    """Which dialog was answered last, by its name."""

    _says: str = ""
    #: Looks since.
    _looked: int = 0

    def may_answer(self, look: Look, *, is_steady: bool) -> bool:
        """True for a dialog that is drawn, and is not one whose answer is on its way."""
        self._looked += 1
        is_known = look.says == self._says and self._looked < UNTIL_ANSWERED
        if look.sight is not Sight.DIALOG or is_known or not is_steady:
            return False
        self._says, self._looked = look.says, 0
        return True


@dataclass(slots=True)
class Typist:
    """Works one process of an execution. `work` once; `halt` ends it early."""

    terminal: Terminal
    form: Interactive
    follow: Follow
    prompt: str
    permissions: Permissions
    clock: Clock
    #: The file that the screen's lines go to, where they are its records; None where it has its own.
    screen_file: Path | None
    #: How many processes it has; None where nobody has counted.
    processes: Callable[[], int | None]
    #: Writes down what it waits for, None for nothing.
    note: Callable[[Waiting | None], Awaitable[None]]
    #: Why it did not get on.
    trouble: Stranded | None = None
    waiting: Waiting | None = None
    #: Its work rests on a question, as far as its screen has told.
    was_asking: bool = False
    #: The prompt was put in, or may have been: it must not be put in a second time.
    was_typed: bool = False
    _before: Screen | None = None
    #: What stands in its box where nobody has typed: a hint, perhaps.
    _empty_box: str | None = None
    _idle_processes: int | None = None
    _is_halted: bool = False
    #: The question that was answered last, and for how many looks it has stood there since.
    _answered: str | None = None
    _unheard: int = 0
    #: One answer at a time: the second sees what became of the first.
    _answering: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def work(self) -> None:
        """From the start of the CLI to its end, or until the caller has seen that it ended."""
        try:
            await self._become_ready()
            await self._send()
            await self._see_it_done()
            await self._leave()
        except Stranded as trouble:
            self._give_up(trouble)
        except TmuxFailed as error:
            self._give_up(Stranded(FailureKind.CRASH, f"its terminal cannot be worked: {error.message}"))
        except OSError as error:  # screens and prompts go by files: a full disk, say
            self._give_up(Stranded(FailureKind.CRASH, f"its terminal cannot be worked: {error}"))

    def speak(self) -> None:
        """Nothing: it is spoken with by keys."""

    async def halt(self) -> None:
        """Stop what it does and leave, as a person would."""
        self._is_halted = True
        with suppress(TmuxFailed):
            await self._press(self.form.stop)
            await asyncio.sleep(PACE)
            await self._press(self.form.quit)

    async def answer(self, option_id: str, request_id: str | None) -> None:
        """Answer the permission that it waits for. Raises `Conflict` and `Invalid`."""
        async with self._answering:
            await self._answer(option_id, request_id)

    async def _answer(self, option_id: str, request_id: str | None) -> None:
        if self.waiting is None:
            raise Conflict("it waits for no permission: somebody has answered, or it has gone on by itself")
        request = self.waiting.request
        if request_id not in {None, request.id}:
            raise Conflict(f"request {request_id!r} does not wait any more; look at what it waits for now")
        known = {option.id for option in request.options}
        if option_id not in known:
            message = f"{option_id!r} is none of its answers: {', '.join(sorted(known))}"
            raise Invalid(message, [Fault(field="optionId", message=message)])
        # Since the last look somebody may have answered by hand: the key must not answer the next question.
        shown = self.form.look((await self.terminal.screen()).text).asks
        if shown is None or shown.id != request.id:
            raise Conflict(f"request {request.id!r} does not wait any more; look at what it waits for now")
        self._answered = request.id
        await self.terminal.keys(option_id)
        await self._wait_for(None)

    async def last_screen(self) -> list[bytes]:
        """What it showed beneath what it had drawn, when it ended by itself: why, as a rule."""
        if self.follow.reader.is_final:
            return []
        with suppress(TmuxFailed, OSError):
            lines = below_box((await self.terminal.history()).lines)
            return [line.encode() for line in lines if line.strip()]
        return []

    # -- the way of one prompt

    async def _become_ready(self) -> None:
        quiet, last, answered = 0, "", Answered()
        async for screen, look in self._looks(UNTIL_READY):
            quiet, last = (quiet + 1 if screen.text == last else 0), screen.text
            # What passes while a CLI starts is no question yet where only a still screen tells anything.
            is_drawn = not self._is_blind or (bool(screen.text) and quiet >= QUIET_START)
            if look.sight is Sight.HOPELESS and is_drawn:
                shown = f"; its screen: {_quoted(last)}" if self._is_blind else ""
                raise Stranded(look.kind or FailureKind.PROTOCOL, f"{look.says}{shown}")
            if look.sight is Sight.READY or (self._is_blind and is_drawn):
                self._before, self._empty_box = screen, look.box
                self._idle_processes = self.processes()
                return
            if answered.may_answer(look, is_steady=quiet > 0):
                log.info("answering a dialog of a CLI", dialog=look.says, execution=self._name)
                await self._press(look.keys)
        raise Stranded(FailureKind.PROTOCOL, f"it shows no prompt to type at; its screen: {_quoted(last)}")

    async def _send(self) -> None:
        """Paste the prompt and press Enter, until it has left the box."""
        self.was_typed = True
        await self.terminal.paste(self._as_text())
        pasted = await self._steady_after(self._before)
        for _ in range(ENTERS):
            if self._is_blind:
                self._before = await self.terminal.history()
            await self.terminal.keys("Enter")
            async for screen, look in self._looks(UNTIL_SENT):
                if self._has_left(look, screen, pasted):
                    return
        raise Stranded(
            FailureKind.PROTOCOL, f"the prompt stays in its box; its screen: {_quoted(pasted.text)}"
        )

    async def _steady_after(self, before: Screen | None) -> Screen:
        """The screen once the paste is drawn, all of it."""
        last: Screen | None = None
        async for screen, _ in self._looks(UNTIL_PASTED):
            if screen == last and before is not None and screen.text != before.text:
                return screen
            last = screen
        raise Stranded(FailureKind.PROTOCOL, "it does not show the prompt that was pasted")

    def _has_left(self, look: Look, screen: Screen, pasted: Screen) -> bool:
        if self.follow.reader.is_final or look.sight in {Sight.WORKING, Sight.ASKING}:
            return True
        if self._is_blind:
            return screen.text != pasted.text
        # A paste may go on being drawn behind an Enter: that the box has changed is no proof.
        return look.box in {"", self._empty_box}

    async def _see_it_done(self) -> None:
        quiet, last = 0, ""
        async for screen, look in self._looks(None):
            if self.follow.is_final.is_set():
                return
            if look.sight in {Sight.ASKING, Sight.WORKING}:
                self.was_asking = look.sight is Sight.ASKING
            await self._note_question(look.asks)
            if screen.text != last:
                quiet, last = 0, screen.text
                self._stir()
            quiet += 1
            if quiet >= QUIET_END and self._are_tools_done():
                if self._is_blind:
                    await self._tell_lines()
                elif look.sight is Sight.READY:
                    self.follow.settle()  # it waits for a prompt, whatever its records leave open

    async def _leave(self) -> None:
        """Press what ends it, again where it did not hear; whatever is left then is ended as a tree."""
        async for _screen, look in self._looks(UNTIL_LEFT):
            if look.sight is Sight.READY or self._is_blind:
                break  # while it works, its keys mean something else
        for _ in range(LEAVES):
            await self._press(self.form.quit)
            async for _seen in self._looks(UNTIL_LEFT):
                pass
        self.follow.interrupt(Stop.LINGER)

    # -- what it is made of

    @property
    def _name(self) -> str:
        return self.follow.execution.execution_id

    @property
    def _is_blind(self) -> bool:
        """Only the screen tells of this CLI, and of its screen nothing is known."""
        return self.screen_file is not None

    async def _looks(self, most: int | None) -> AsyncIterator[tuple[Screen, Look]]:
        looked = 0
        while not self._is_halted and (most is None or looked < most):
            screen = await self.terminal.screen()
            yield screen, self.form.look(screen.text)
            looked += 1
            await asyncio.sleep(LOOK_AGAIN)
        if self._is_halted:
            raise asyncio.CancelledError

    async def _press(self, keys: tuple[str, ...]) -> None:
        for key in keys:
            await self.terminal.keys(key)
            await asyncio.sleep(PACE)

    def _as_text(self) -> str:
        """The prompt; a blank before what would make it a command of the CLI's own."""
        text = self.prompt.rstrip("\n")
        return f" {text}" if text[:1] in tuple(self.form.commands) else text

    def _stir(self) -> None:
        """Of a CLI without records, a screen that changes is its output."""
        if self._is_blind:
            self.follow.woke()

    def _are_tools_done(self) -> bool:
        now = self.processes()
        return now is None or self._idle_processes is None or now <= self._idle_processes

    async def _tell_lines(self) -> None:
        """Hand the answer to whoever follows: once, as one piece of output."""
        reader, file = self.follow.reader, self.screen_file
        if not isinstance(reader, ScreenReader) or file is None or file.exists():
            return
        before = self._before.lines if self._before else ()
        lines = new_lines(before, (await self.terminal.history()).lines, self.prompt)
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        reader.expect(len(lines))

    async def _note_question(self, asked: PermissionRequest | None) -> None:
        self._unheard = self._unheard + 1 if asked is not None and asked.id == self._answered else 0
        if self._unheard and self._unheard < UNTIL_SENT:
            return  # it is answered, and still drawn
        self._answered = None
        if asked is None or self.permissions is Permissions.ASK:
            await self._wait_for(asked)
            return
        wanted = "allow_once" if self.permissions is Permissions.ALLOW else "reject_once"
        option = next((option for option in asked.options if option.kind == wanted), asked.options[-1])
        self._answered = asked.id
        await self.terminal.keys(option.id)

    async def _wait_for(self, asked: PermissionRequest | None) -> None:
        waited = self.waiting.request.id if self.waiting else None
        if waited == (asked.id if asked else None):
            return
        self.waiting = None if asked is None else Waiting(request=asked, since=self.clock.now())
        if asked is None:
            self.follow.woke()
        await self.note(self.waiting)

    def _give_up(self, trouble: Stranded) -> None:
        self.trouble = trouble
        self.follow.interrupt(Stop.STRANDED)


def _quoted(screen: str) -> str:
    lines = [line.strip() for line in screen.split("\n") if line.strip()]
    return one_line(" / ".join(lines[-QUOTED:]) or "(empty)", limit=600)
