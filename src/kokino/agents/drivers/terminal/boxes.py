"""What stands where on the screen of a CLI that draws an input box between two lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from kokino.agents.drivers.contract import Look, PermissionOption, PermissionRequest, Sight
from kokino.agents.drivers.text import one_line
from kokino.agents.failures import FailureKind

#: What stands before what is typed, and before the answer that Enter would give.
MARK = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"
#: The line above and the one below the box.
_RULE = re.compile(r"\s*[─━]{20,}.*")
#: The first line in it.
_PROMPT = re.compile(rf"\s*[{MARK}>] ?(.*)")
#: ``1. Yes``: one of several answers.
_OPTION = re.compile(rf"\s*(?:{MARK}\s*)?(\d)\. (.+)")
#: A permission's words, to what they mean: the first that fits.
_KINDS = (
    (re.compile(r"yes.*(always|don.t ask|during this session)", re.IGNORECASE), "allow_always"),
    (re.compile(r"yes", re.IGNORECASE), "allow_once"),
    (re.compile(r"no\b", re.IGNORECASE), "reject_once"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialog:
    """A question that a CLI may begin with."""

    name: str
    #: Found on the screen when it is asked.
    sign: re.Pattern[str]
    #: What answers it; none where nothing can.
    keys: tuple[str, ...] = ()
    #: Why it cannot be answered, for a person.
    says: str = ""
    kind: FailureKind | None = None

    def look(self) -> Look:
        """What a screen with this question is."""
        if self.keys:
            return Look(sight=Sight.DIALOG, keys=self.keys, says=self.name)
        return Look(sight=Sight.HOPELESS, says=self.says, kind=self.kind)


def box_in(screen: str) -> str | None:
    """What stands in the input box; None where there is none.

    The last two rules of the screen are its edges: what was said before scrolls above them.
    """
    lines = screen.split("\n")
    rules = [at for at, line in enumerate(lines) if _RULE.fullmatch(line)]
    for above, below in reversed(list(pairwise(rules))):
        inside = lines[above + 1 : below]
        first = _PROMPT.fullmatch(inside[0]) if inside else None
        if first is not None:
            return "\n".join([first[1].strip(), *(line.strip() for line in inside[1:])]).strip()
    return None


def below_box(lines: Sequence[str]) -> Sequence[str]:
    """What stands below the box and its line of hints; all lines where there is no box."""
    if box_in("\n".join(lines)) is None:
        return lines
    last = max(at for at, line in enumerate(lines) if _RULE.fullmatch(line))
    return lines[last + 2 :]


def question_in(screen: str, sign: re.Pattern[str]) -> PermissionRequest | None:
    """A question with numbered answers that begins with a line of that form; its keys are the numbers."""
    lines = screen.split("\n")
    at = next((at for at, line in reversed(list(enumerate(lines))) if sign.search(line)), None)
    if at is None:
        return None
    found = [option for line in lines[at + 1 :] if (option := _OPTION.fullmatch(line))]
    if len(found) < 2:
        return None
    options = tuple(_option(option[1], option[2]) for option in found)
    title = one_line(" ".join([*_above(lines[:at]), lines[at]]))
    return PermissionRequest(id=title, title=title, options=options)


def _above(lines: list[str]) -> list[str]:
    """What the question is about: the lines up to the rule above it."""
    rules = [at for at, line in enumerate(lines) if _RULE.fullmatch(line)]
    return [line.strip() for line in lines[(rules[-1] + 1 if rules else 0) :] if line.strip()]


def _option(key: str, words: str) -> PermissionOption:
    kind = next((kind for sign, kind in _KINDS if sign.match(words)), "reject_once")
    return PermissionOption(id=key, name=words.strip(), kind=kind)
