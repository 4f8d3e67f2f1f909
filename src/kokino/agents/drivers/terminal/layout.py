"""How a CLI that is read from its screen draws a turn: where its prompt waits, what is its answer, what not.

A screen is taken for a column of parts. Each begins further left than it goes on: with a mark before what
the model says, with another one before a prompt, a tool call, a notice or the box. What each CLI's marks are
stands in `codex.py`, `gemini.py` and `qwen.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from kokino.agents.drivers.contract import Look, Sight

#: So many of the lowest lines tell whether it works or waits; what stands above was said.
LOWEST = 8
#: So much of a prompt's first line is looked for; a line of the window holds it.
BEGINNING = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one turn brought to the screen."""

    #: What the model said, without the marks; empty where it said nothing that is known by its mark.
    answer: str = ""
    #: What the CLI itself shows behind that, a notice or a failure.
    behind: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The marks of one CLI's screen."""

    #: Before what the model says; the lines below it are indented by as much.
    says: str
    #: A prompt that was sent, and the box for the next one.
    prompt: re.Pattern[str]
    #: A part that does not begin further left than the answer's lines.
    begins: re.Pattern[str] | None = None
    #: The second line of what looks said and is none: a tool call.
    tool: re.Pattern[str] | None = None
    #: A whole line that is drawn beneath an answer.
    hint: re.Pattern[str] | None = None
    #: Found in the lowest lines while it works, and while an empty box waits: the hint in it.
    works: re.Pattern[str]
    waits: re.Pattern[str]
    #: Its words for a turn that a key has stopped.
    stopped: re.Pattern[str]
    #: How a line begins that tells of a failure.
    fails: str
    #: Names its session when it has been left; None where we have named it.
    session: re.Pattern[str] | None = None

    def look(self, screen: str) -> Look | None:
        """At work or waiting for a prompt; None for neither, a question perhaps."""
        lines = [line for line in screen.split("\n") if line.strip()]
        lowest = "\n".join(lines[-LOWEST:])
        if self.works.search(lowest):
            return Look(sight=Sight.WORKING)
        return Look(sight=Sight.READY, box="") if self.waits.search(lowest) else None

    def since(self, lines: Sequence[str], prompt: str) -> list[str]:
        """The lines from the last time on that this prompt was sent; all where it is not found."""
        sent = prompt.strip().split("\n")[0][:BEGINNING]
        found = (at for at in reversed(range(len(lines))) if self._is_sent(lines[at], sent))
        return list(lines[next(found, 0) :])

    def read(self, lines: Iterable[str]) -> Told:
        """Tell what the model said from what else is drawn."""
        parts = [part for part in self._parts(lines) if not self.prompt.match(part[0])]
        said = [part for part in parts if self._is_said(part)]
        after = list(takewhile(lambda part: not self._is_said(part), reversed(parts)))
        return Told(
            answer="\n\n".join(self._unmarked(part) for part in said),
            behind=[line for part in reversed(after) for line in part],
        )

    def _parts(self, lines: Iterable[str]) -> list[list[str]]:
        """What stands before the first part is the end of the prompt, or of nothing."""
        parts: list[list[str]] = []
        for line in lines:
            if self._is_beginning(line):
                parts.append([line])
            elif parts:
                parts[-1].append(line)
        return parts

    def _is_sent(self, line: str, sent: str) -> bool:
        mark = self.prompt.match(line)
        return mark is not None and line[mark.end() :].startswith(sent)

    def _is_beginning(self, line: str) -> bool:
        is_left = bool(line[: len(self.says)].strip())
        return is_left or (self.begins is not None and self.begins.match(line) is not None)

    def _is_said(self, part: Sequence[str]) -> bool:
        is_tool = self.tool is not None and len(part) > 1 and self.tool.match(part[1]) is not None
        return part[0].startswith(self.says) and not is_tool

    def _unmarked(self, part: Sequence[str]) -> str:
        lines = [line[len(self.says) :] for line in part if not (self.hint and self.hint.fullmatch(line))]
        return "\n".join(lines).strip("\n")
