"""Steps: a third-level heading with one ``sh {...}`` block."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from kokino.playbooks.document import Block, Chapter, Faults, Part
from kokino.playbooks.fields import read_length
from kokino.playbooks.model import Await, Effect, Limit, RunMode, Section, Step

T = TypeVar("T")
E = TypeVar("E", Effect, RunMode)

#: What a step may take unless it says otherwise, and at most.
DEFAULT_TIMEOUT = timedelta(seconds=30)
MAX_TIMEOUT = timedelta(minutes=10)
#: How an undo waits unless it says otherwise: a login is seldom renewed within the hour.
DEFAULT_EVERY = timedelta(minutes=1)
DEFAULT_WITHIN = timedelta(hours=24)

#: A step's id: also the name that matches call it by.
STEP_ID = r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*"

_ATTRIBUTE = re.compile(r"([A-Za-z]+)=(\S+)")
_TEMPLATE = re.compile(r"(?<!\$)\{\s*[A-Za-z_]\w*\s*\}")
#: A variable in bash (``$NAME``, ``${NAME...``) or in jq (``env.NAME``), in capital letters.
_VARIABLE = re.compile(r"(?:\$\{?|\benv\.)([A-Z][A-Z0-9_]*)\b")

_STEP_SECTIONS = frozenset({Section.INVESTIGATE, Section.MITIGATE, Section.VERIFY, Section.ESCALATE})
_READING_SECTIONS = frozenset({Section.INVESTIGATE, Section.VERIFY})
#: The attributes of a step, by the section that it stands in.
ATTRIBUTES: dict[Section, frozenset[str]] = {
    section: frozenset({"id", "effect", "timeout"}) for section in _READING_SECTIONS
} | {
    Section.MITIGATE: frozenset(
        {"id", "effect", "timeout", "run", "undo", "limit", "after", "every", "within"}
    ),
    Section.ESCALATE: frozenset({"id", "effect", "timeout", "run", "limit"}),
}


def read_steps(chapter: Chapter, section: Section, faults: Faults) -> list[Step]:
    """The steps of one section."""
    found = [_part_step(part, section, faults) for part in chapter.parts]
    return [step for step in found if step is not None]


class Attributes:
    """The ``key=value`` pairs of a block. What is unknown, doubled or no pair is noted and left out."""

    def __init__(self, block: Block, known: frozenset[str], faults: Faults) -> None:
        self._line = block.line
        self._faults = faults
        self._held: dict[str, str] = {}
        for word in block.attributes.split():
            pair = _ATTRIBUTE.fullmatch(word)
            if pair is None:
                self._note("attributes", f"{word!r} must be written as name=value")
            elif pair[1] not in known:
                self._note(pair[1], f"is unknown here; known are {', '.join(sorted(known))}")
            elif pair[1] in self._held:
                self._note(pair[1], "stands here twice")
            else:
                self._held[pair[1]] = pair[2]

    def require(self, *names: str) -> None:
        """Note those that are missing."""
        for name in names:
            if name not in self._held:
                self._note(name, "is missing")

    def forbid(self, *names: str, because: str) -> None:
        """Note those that are there."""
        for name in names:
            if name in self._held:
                self._note(name, because)

    def text(self, name: str) -> str | None:
        """The value as written; None where it is absent."""
        return self._held.get(name)

    def read(self, name: str, reader: Callable[[str], T | None], wanted: str) -> T | None:
        """The value as `reader` understands it; None where it is absent, or faulty and noted."""
        if name not in self._held:
            return None
        value = reader(self._held[name])
        if value is None:
            self._note(name, f"must be {wanted}, not {self._held[name]!r}")
        return value

    def length(self, name: str) -> timedelta | None:
        """The value as a length."""
        return self.read(name, read_length, "a length such as 30s, 5m or 1h")

    def _note(self, name: str, message: str) -> None:
        self._faults.add(self._line, name, message)


def variables_in(script: str) -> frozenset[str]:
    """The environment variables that a script reads: those in capital letters."""
    return frozenset(_VARIABLE.findall(script))


def _part_step(part: Part, section: Section, faults: Faults) -> Step | None:
    blocks = [block for block in part.blocks if block.language in {"sh", "bash", "shell"}]
    if not blocks:
        return None
    name = part.title or section
    if section not in _STEP_SECTIONS:
        faults.add(blocks[0].line, name, f"{section} holds no steps")
        return None
    if not part.title:
        faults.add(blocks[0].line, name, "a step stands under a third-level heading of its own")
    for extra in blocks[1:]:
        faults.add(extra.line, name, "is a second block of one step; give it a heading of its own")
    return _step(blocks[0], part.title, section, faults)


def _step(block: Block, title: str, section: Section, faults: Faults) -> Step | None:
    attributes = Attributes(block, ATTRIBUTES[section], faults)
    attributes.require("id", "effect")
    step_id = attributes.read("id", _step_id, "small letters, digits and '-'")
    effect = attributes.read("effect", _word(Effect), "read, write or dangerous")
    _check_block(block, faults)
    if step_id is None or effect is None:
        return None
    step = Step(
        id=step_id,
        section=section,
        title=title,
        script=block.text,
        line=block.line,
        effect=effect,
        timeout=attributes.length("timeout") or DEFAULT_TIMEOUT,
        run=_run_mode(attributes, effect),
        undo=attributes.text("undo"),
        limit=attributes.read("limit", _limit, "runs per length such as 1/1h"),
        after=_await(attributes),
        inputs=variables_in(block.text),
    )
    _check_step(step, faults)
    return step


def _check_block(block: Block, faults: Faults) -> None:
    if block.language != "sh":
        faults.add(block.line, "block", f"write sh, not {block.language}")
    for number, line in enumerate(block.text.split("\n"), start=block.line + 1):
        for template in _TEMPLATE.findall(line):
            faults.add(number, "template", f"{template} is not filled in; declare an input and write $NAME")


def _check_step(step: Step, faults: Faults) -> None:
    if step.section in _READING_SECTIONS and step.effect is not Effect.READ:
        faults.add(step.line, "effect", f"{step.section} only reads; move what changes something to Mitigate")
    if step.effect is Effect.DANGEROUS and step.run is RunMode.AUTO:
        faults.add(step.line, "run", "a dangerous step needs run=approval or run=manual")
    if step.timeout > MAX_TIMEOUT:
        faults.add(step.line, "timeout", "must be 10m at most")


def _run_mode(attributes: Attributes, effect: Effect) -> RunMode:
    """What only reads runs by itself; all else must say so."""
    default = RunMode.AUTO if effect is Effect.READ else RunMode.APPROVAL
    return attributes.read("run", _word(RunMode), "auto, approval or manual") or default


def _await(attributes: Attributes) -> Await | None:
    every, within = attributes.length("every"), attributes.length("within")
    awaited = attributes.text("after")
    if awaited is None:
        attributes.forbid("every", "within", because="belongs to after=, which is missing")
        return None
    return Await(step_id=awaited, every=every or DEFAULT_EVERY, within=within or DEFAULT_WITHIN)


def _step_id(text: str) -> str | None:
    return text if re.fullmatch(STEP_ID, text) else None


def _limit(text: str) -> Limit | None:
    found = re.fullmatch(r"([1-9][0-9]{0,3})/(\w+)", text)
    per = read_length(found[2]) if found else None
    return Limit(times=int(found[1]), per=per) if found and per else None


def _word(kind: type[E]) -> Callable[[str], E | None]:
    return lambda text: next((member for member in kind if member == text), None)
