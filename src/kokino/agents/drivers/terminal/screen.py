"""CLIs of which only the screen tells: by the layout of one that is known, else by whether it changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from kokino.agents.drivers.contract import (
    Command,
    Exit,
    Invocation,
    Look,
    Outcome,
    Reader,
    Sight,
    Surroundings,
)
from kokino.agents.drivers.record_reader import LineReader
from kokino.agents.drivers.signs import describe, kind_of_exit
from kokino.agents.drivers.terminal.boxes import MARK
from kokino.agents.drivers.terminal.layout import Layout, Told
from kokino.agents.drivers.terminal.questions import question_on
from kokino.agents.drivers.text import CONTENT_LIMIT, one_line
from kokino.agents.failures import FailureKind

#: What CLIs draw around a prompt that was sent.
MARKS = f"{MARK}>\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}│┃ "
#: And around what they say themselves: signs of a warning, dots, the corners of boxes.
DRAWN = f"{MARKS}\t╭╮╰╯─━■▲⚠✕✖\u00d7✗●•✦\u2139\ufe0f⎿└"
#: Where a CLI that was left names its session: in so many lines, for a key that comes late is echoed below.
FAREWELL = 3


class ScreenReader(LineReader):
    """Takes the lines that came to the screen; they are the answer. See `contract.Reader`."""

    def __init__(
        self,
        resumes: str | None = None,
        *,
        keeps_session: bool = True,
        kind_of: Callable[[str], FailureKind | None] | None = None,
        layout: Layout | None = None,
    ) -> None:
        super().__init__(resumes)
        self._kind_of = kind_of
        self._layout = layout
        #: False where the next turn cannot go on with this one: nobody knows what the CLI calls its session.
        self.keeps_session = keeps_session
        self._lines: list[str] = []
        self._expected: int | None = None

    def turn(self, lines: Sequence[str], prompt: str) -> list[str]:
        """The lines of this turn among those that came to the screen."""
        return list(lines) if self._layout is None else self._layout.since(lines, prompt)

    def tells_end(self, lines: Sequence[str]) -> bool:
        """The model has said something, or the CLI why it does not: of a known screen alone."""
        if self._layout is None:
            return False
        told = self._layout.read(lines)
        return bool(told.answer) or self._failure(told.behind)[0] is not None

    def left(self, lines: Sequence[str]) -> bool:
        """Hear what it showed last, once it has ended: False where it has yet to name its session."""
        sign = self._layout.session if self._layout is not None else None
        if sign is None or self.keeps_session:
            return True
        last = [line for line in lines if line.strip()][-FAREWELL:]
        named = next((found for line in reversed(last) if (found := sign.fullmatch(line))), None)
        if named is not None:
            self.session_id, self.keeps_session = named[1], True
        return named is not None

    def expect(self, lines: int) -> None:
        """So many lines in all are the answer: the CLI has become quiet."""
        self._expected = lines
        self._end_if_whole()

    def stdout(self, line: bytes) -> None:
        """Take one line of the screen."""
        self._lines.append(line.decode("utf-8", "replace"))
        self._end_if_whole()

    def outcome(self, exit: Exit) -> Outcome:
        """Success is that it became quiet again and shows no failure; no other proof is to be had."""
        told = Told(behind=self._lines) if self._layout is None else self._layout.read(self._lines)
        # Behind the answer, where it is known: a failure that an answer quotes is none.
        kind, error = self._failure(told.behind)
        content = told.answer or ("" if self._layout and kind else "\n".join(self._lines))
        if kind is None and not (self.is_final and content.strip()):
            kind, error = kind_of_exit(exit), self.last_words or f"{describe(exit)} without an answer"
        return Outcome(
            kind=kind,
            error=None if kind is None else one_line(error),
            content=content[:CONTENT_LIMIT],
            session_is_alive=self.keeps_session,
        )

    def _failure(self, shown: Sequence[str]) -> tuple[FailureKind | None, str]:
        """What the CLI shows of its own failure: a line by which it is known, or one and its rest below."""
        stopped = self._first(shown, lambda layout, line: layout.stopped.match(line) is not None)
        if stopped is not None:
            return FailureKind.CANCELLED, stopped
        lines = [line.strip(DRAWN) for line in shown]
        pairs = [f"{line} {rest}" for line, rest in pairwise(lines)]
        found = ((self._kind_of(said), said) for said in (*lines, *pairs)) if self._kind_of else ()
        known = next(((kind, said) for kind, said in found if kind is not None), None)
        if known is not None:
            return known
        failed = self._first(shown, lambda layout, line: line.startswith(layout.fails))
        return (None, "") if failed is None else (FailureKind.UNKNOWN, failed)

    def _first(self, shown: Sequence[str], is_it: Callable[[Layout, str], bool]) -> str | None:
        """The first line that the layout knows by that, without its mark."""
        if self._layout is None:
            return None
        layout = self._layout
        return next((line.strip(DRAWN) for line in shown if is_it(layout, line)), None)

    def _end_if_whole(self) -> None:
        if self._expected is not None and len(self._lines) >= self._expected:
            self.end_words()


@dataclass(slots=True, kw_only=True)
class ScreenForm:
    """Any CLI that takes a pasted prompt and Enter."""

    #: Its arguments for a session and a model.
    arguments: Callable[[Invocation], tuple[str, ...]]
    env: Mapping[str, str] = field(default_factory=dict)
    #: It names its sessions itself, and tells how at its end at the most.
    names_sessions: bool = False
    #: What a line of its screen means that tells of a failure; None for any other.
    kind_of: Callable[[str], FailureKind | None]
    #: How its screen is drawn; None where nobody knows.
    layout: Layout | None = None
    quit: tuple[str, ...] = ("C-c", "C-c")
    stop: tuple[str, ...] = ("Escape",)
    commands: str = "/!#@"

    def command(self, invocation: Invocation) -> Command:
        """The CLI with its flags, in the session where there is one to go on with."""
        argv = (*invocation.command, *self.arguments(invocation), *invocation.flags)
        return Command(argv=argv, stdin=None, env=self.env)

    def records(self, invocation: Invocation, surroundings: Surroundings) -> Path | None:
        """There are none."""
        return None

    def reader(self, resumes: str | None = None) -> Reader:
        """A fresh reader of the screen's lines."""
        keeps_session = resumes is not None or not self.names_sessions
        return ScreenReader(resumes, keeps_session=keeps_session, kind_of=self.kind_of, layout=self.layout)

    def look(self, screen: str) -> Look:
        """Where the layout does not tell: a question that would take the prompt for its answer, perhaps."""
        known = None if self.layout is None else self.layout.look(screen)
        return known or question_on(screen) or Look(sight=Sight.UNCLEAR)


def new_lines(
    empty: tuple[str, ...], typed: tuple[str, ...], after: tuple[str, ...], prompt: str
) -> list[str]:
    """The lines of a screen that came to it: without what stood above and below, and without the prompt.

    `typed` stood there before Enter, `empty` before the prompt was put in: what is drawn at the bottom, a box
    and a status line, stands in the one or the other as it does `after`, and some empty lines beneath it.
    """
    empty, typed, after = _ended(empty), _ended(typed), _ended(after)
    came = after[_common(typed, after) :]
    tail = max(_common(below[::-1], came[::-1]) for below in (empty, typed))
    found = list(came[: len(came) - tail])
    none = {"", *(line.strip(MARKS) for line in prompt.split("\n"))}
    while found and found[0].strip(MARKS) in none:
        found.pop(0)
    while found and not found[-1].strip(MARKS):
        found.pop()
    return found


def _ended(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Without the empty lines at its end."""
    last = max((at for at, line in enumerate(lines) if line.strip()), default=-1)
    return lines[: last + 1]


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many lines at the beginning are the same."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))
