"""A playbook's text becomes a `Playbook`, or all of its faults at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from kokino.errors import ConfigInvalid
from kokino.playbooks.checks import check_actions, check_inputs, check_undo, read_inputs
from kokino.playbooks.document import Block, Chapter, Document, Faults, read_document
from kokino.playbooks.drills import read_drills
from kokino.playbooks.expressions import Compare, Get, Literal, Node
from kokino.playbooks.header import read_header
from kokino.playbooks.model import Playbook, Section, Step, Verify
from kokino.playbooks.ranks import rank
from kokino.playbooks.rows import PatternTable, conditions_of, read_expression, read_patterns
from kokino.playbooks.steps import Attributes, read_steps

#: Rounds of Verify steps, unless the block says otherwise.
DEFAULT_EVERY = timedelta(seconds=15)

_VERIFY_ATTRIBUTES = frozenset({"for", "every", "within"})
#: Blocks that are no steps, each with the section that it stands in.
_BLOCKS = {
    ("match", "definitions"): Section.PATTERNS,
    ("match", "verified"): Section.VERIFY,
    ("yaml", "drill"): Section.DRILL,
}


def parse_playbook(text: str, *, file: str, is_shipped: bool = False) -> Playbook:
    """Read a playbook; `file` is what faults call it. Raises `ConfigInvalid` with all of them."""
    faults = Faults(file)
    document = read_document(text, faults)
    header = read_header(document.front_matter, faults)
    chapters = _chapters(document, faults)
    steps = _steps(chapters, faults)
    table = _patterns(chapters, steps, faults)
    patterns = rank(table.patterns, table.preferences, faults)
    verify = _verify(chapters.get(Section.VERIFY), steps, faults)
    inputs = read_inputs(header, table.definitions, faults)
    check_inputs(inputs, header, steps, table.definitions, faults)
    check_undo(steps, faults)
    check_actions(patterns, steps, faults)
    known = {pattern.id for pattern in patterns}
    drills = read_drills(chapters.get(Section.DRILL), known, header.budgets, faults)
    if faults.listed() or verify is None:
        raise ConfigInvalid(faults.listed())
    return Playbook(
        id=header.texts["id"],
        title=document.title or header.texts["id"],
        alert=header.texts["alert"],
        severity=header.texts["severity"],
        owner=header.texts["owner"],
        escalation=header.texts["escalation"],
        inputs=inputs,
        steps=tuple(steps),
        definitions=tuple(table.definitions),
        patterns=patterns,
        verify=verify,
        drills=drills,
        text=text,
        is_shipped=is_shipped,
    )


def _chapters(document: Document, faults: Faults) -> dict[Section, Chapter]:
    """The sections by name; unknown, doubled, missing and misplaced ones are noted."""
    found: dict[Section, Chapter] = {}
    for chapter in document.chapters:
        section = next((section for section in Section if section == chapter.title), None)
        if section is None:
            known = ", ".join(Section)
            faults.add(chapter.line, chapter.title, f"is no section; second-level headings are {known}")
        elif section in found:
            faults.add(chapter.line, section, f"stands here twice, first on line {found[section].line}")
        else:
            found[section] = chapter
            _check_blocks(chapter, section, faults)
    _check_order(found, faults)
    return found


def _check_order(found: dict[Section, Chapter], faults: Faults) -> None:
    for section in Section:
        if section not in found:
            faults.add(1, section, f"is missing; sections in order: {', '.join(Section)}")
    rightly = [section for section in Section if section in found]
    for section, right in zip(found, rightly, strict=True):
        if section is not right:
            faults.add(found[section].line, section, f"is out of order: {right} comes here")
            return


def _check_blocks(chapter: Chapter, section: Section, faults: Faults) -> None:
    for block in chapter.blocks():
        place = _BLOCKS.get((block.language, _word(block)))
        if block.language in {"sh", "bash", "shell"} or place is section:
            continue
        hint = f"stands in {place}" if place else "is unknown; leave the braces off an example"
        faults.add(block.line, "block", f"{block.language} {{{block.attributes}}} {hint}")


def _word(block: Block) -> str:
    """The first word between the braces: what the block is."""
    return (block.attributes.split() or [""])[0]


def _steps(chapters: dict[Section, Chapter], faults: Faults) -> list[Step]:
    found: dict[str, Step] = {}
    for section in Section:
        for step in read_steps(chapters[section], section, faults) if section in chapters else ():
            if step.id in found:
                faults.add(step.line, step.id, f"is taken by the step on line {found[step.id].line}")
            found.setdefault(step.id, step)
    return list(found.values())


def _ids(steps: Sequence[Step], section: Section) -> list[str]:
    return [step.id for step in steps if step.section is section]


def _patterns(chapters: dict[Section, Chapter], steps: Sequence[Step], faults: Faults) -> PatternTable:
    if Section.PATTERNS not in chapters:
        return PatternTable(definitions=[], preferences=[], patterns=[])
    return read_patterns(chapters[Section.PATTERNS], _ids(steps, Section.INVESTIGATE), faults)


def _verify(chapter: Chapter | None, steps: Sequence[Step], faults: Faults) -> Verify | None:
    blocks = [block for block in chapter.blocks() if _word(block) == "verified"] if chapter else []
    if len(blocks) != 1:
        if chapter is not None:
            faults.add(chapter.line, "Verify", "must hold one block ```match {verified for=5m within=20m}")
        return None
    block = blocks[0]
    lengths = _lengths(block, faults)
    step_ids = _ids(steps, Section.VERIFY)
    node = read_expression(block.text, block.line + 1, "Verify", faults, steps=step_ids)
    if node is None or "for" not in lengths or "within" not in lengths:
        return None
    conditions = conditions_of(node, {})
    _check_verify(block, conditions, lengths, faults)
    return Verify(
        conditions=conditions,
        window=lengths["for"],
        every=lengths.get("every", DEFAULT_EVERY),
        within=lengths["within"],
        line=block.line,
    )


def _lengths(block: Block, faults: Faults) -> dict[str, timedelta]:
    rest = Block(
        language=block.language,
        attributes=block.attributes.strip().removeprefix("verified"),
        text=block.text,
        line=block.line,
    )
    attributes = Attributes(rest, _VERIFY_ATTRIBUTES, faults)
    attributes.require("for", "within")
    found = {name: attributes.length(name) for name in _VERIFY_ATTRIBUTES}
    return {name: length for name, length in found.items() if length is not None}


def _check_verify(
    block: Block, conditions: Collection[Node], lengths: dict[str, timedelta], faults: Faults
) -> None:
    if lengths["within"] <= lengths["for"]:
        faults.add(block.line, "within", "must be longer than for, the window that is looked back on")
    if not any(_demands_successes(condition) for condition in conditions):
        message = "must demand successes, such as service.successes >= 3: no failures prove nothing"
        faults.add(block.line, "Verify", message)


def _demands_successes(node: Node) -> bool:
    match node:
        case Compare(Get(_, "successes"), ">=", Literal(int(least))):
            return least >= 1
        case Compare(Get(_, "successes"), ">", Literal(int(least))):
            return least >= 0
        case _:
            return False
