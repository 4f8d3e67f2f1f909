"""The Patterns section: definitions, preferences and the table."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kokino.playbooks.document import Block, Chapter, Faults, Row
from kokino.playbooks.expressions import And, Name, Node, may_be_condition, names_in
from kokino.playbooks.match import KEYWORDS, ExpressionInvalid, parse_expression
from kokino.playbooks.model import Definition, Pattern
from kokino.playbooks.steps import STEP_ID

#: The columns of the table.
COLUMNS = ("id", "evidence", "match", "probable cause", "solution", "actions")
#: Far above what a person can follow; bounds the work of one choice.
MAX_DEFINITIONS = 60

_DEFINITION = re.compile(r"([A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*)\s*=(?!=)\s*")
_PREFERENCE = re.compile(r"prefer\s+(\S+)\s+over\s+(\S.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """``prefer A over B``: where both match, A is the more specific one."""

    #: The pattern that goes first.
    first: str
    #: Those that it goes before.
    over: tuple[str, ...]
    #: Where it stands.
    line: int


@dataclass(slots=True, kw_only=True)
class PatternTable:
    """What the Patterns section says, before it is checked against the steps."""

    #: Named expressions, in order.
    definitions: list[Definition]
    #: Explicit preferences.
    preferences: list[Preference]
    #: The rows.
    patterns: list[Pattern]


def read_patterns(chapter: Chapter, steps: Collection[str], faults: Faults) -> PatternTable:
    """Read the section; `steps` are the ids of the Investigate steps, all that an expression may read."""
    definitions: list[Definition] = []
    preferences: list[Preference] = []
    for block in chapter.blocks():
        if (block.language, block.attributes.strip()) == ("match", "definitions"):
            _read_lines(block, steps, definitions, preferences, faults)
    patterns = _table(chapter, steps, definitions, faults)
    return PatternTable(definitions=definitions, preferences=preferences, patterns=patterns)


def read_expression(
    text: str,
    line: int,
    field: str,
    faults: Faults,
    *,
    steps: Collection[str],
    definitions: Collection[str] = (),
) -> Node | None:
    """The expression; None where it is none, and noted."""
    try:
        return parse_expression(text, steps=steps, definitions=definitions)
    except ExpressionInvalid as fault:
        faults.add(line, field, str(fault))
        return None


def conditions_of(node: Node, definitions: Mapping[str, Node]) -> tuple[Node, ...]:
    """What an expression demands: each term of its ``and``, with names put for what they are defined as."""
    found: dict[Node, None] = {}
    waiting, seen = [node], set[Node]()
    while waiting:
        term = waiting.pop(0)
        if term in seen:
            continue
        seen.add(term)
        if isinstance(term, Name) and term.name in definitions:
            waiting.insert(0, definitions[term.name])
        elif isinstance(term, And):
            waiting = [*term.terms, *waiting]
        else:
            found[term] = None
    return tuple(found)


def steps_read(node: Node, definitions: Mapping[str, Node]) -> frozenset[str]:
    """The steps that an expression reads, through definitions."""
    waiting, seen = [*names_in(node)], set[str]()
    while waiting:
        name = waiting.pop()
        if name in definitions and name not in seen:
            waiting += names_in(definitions[name])
        seen.add(name)
    return frozenset(seen - definitions.keys())


def _read_lines(
    block: Block,
    steps: Collection[str],
    definitions: list[Definition],
    preferences: list[Preference],
    faults: Faults,
) -> None:
    for line, raw in enumerate(block.text.split("\n"), start=block.line + 1):
        text = raw.strip()
        if not text or text.startswith("#"):
            continue
        if preference := _PREFERENCE.fullmatch(text):
            over = tuple(_listed(preference[2]))
            preferences.append(Preference(first=preference[1], over=over, line=line))
        else:
            _define(text, line, steps, definitions, faults)


def _define(
    text: str, line: int, steps: Collection[str], definitions: list[Definition], faults: Faults
) -> None:
    head = _DEFINITION.match(text)
    if head is None:
        faults.add(line, "definition", "must be written as name = expression, or prefer ROW over ROW, ROW")
        return
    name, names = head[1], [definition.name for definition in definitions]
    if name in {*names, *steps, *KEYWORDS}:
        faults.add(line, name, "is taken: by a step, an earlier definition or the language")
        return
    if len(names) >= MAX_DEFINITIONS:
        faults.add(line, name, f"is one definition more than {MAX_DEFINITIONS}")
        return
    expression = read_expression(text[head.end() :], line, name, faults, steps=steps, definitions=names)
    if expression is not None:
        definitions.append(Definition(name=name, expression=expression, line=line))


def _table(
    chapter: Chapter, steps: Collection[str], definitions: Sequence[Definition], faults: Faults
) -> list[Pattern]:
    if len(chapter.tables) != 1:
        message = (
            f"must hold one table with the columns {' | '.join(COLUMNS)} and a line of dashes below them"
        )
        faults.add(chapter.line, "Patterns", message)
        return []
    header, *rows = chapter.tables[0]
    if tuple(cell.lower() for cell in header.cells) != COLUMNS:
        faults.add(header.line, "Patterns", f"the columns must be {' | '.join(COLUMNS)}")
        return []
    if not rows:
        faults.add(header.line, "Patterns", "the table has no rows")
    found = [_pattern(row, steps, {d.name: d.expression for d in definitions}, faults) for row in rows]
    return [pattern for pattern in found if pattern is not None]


def _pattern(
    row: Row, steps: Collection[str], definitions: Mapping[str, Node], faults: Faults
) -> Pattern | None:
    if len(row.cells) != len(COLUMNS):
        faults.add(row.line, "Patterns", f"the row has {len(row.cells)} cells, not {len(COLUMNS)}")
        return None
    pattern_id, evidence, match, cause, solution, actions = row.cells
    if not re.fullmatch(STEP_ID, pattern_id):
        faults.add(row.line, "id", f"must be small letters, digits and '-', not {pattern_id!r}")
    node = read_expression(
        match, row.line, f"{pattern_id}.match", faults, steps=steps, definitions=definitions
    )
    if node is None:
        return None
    pattern = Pattern(
        id=pattern_id,
        evidence=tuple(_listed(evidence)),
        conditions=conditions_of(node, definitions),
        probable_cause=cause,
        solution=solution,
        actions=tuple(_listed(actions)),
        line=row.line,
    )
    _check_row(pattern, steps, definitions, faults)
    return pattern


def _check_row(
    pattern: Pattern, steps: Collection[str], definitions: Mapping[str, Node], faults: Faults
) -> None:
    name = f"{pattern.id}.evidence"
    for step_id in pattern.evidence:
        if step_id not in steps:
            faults.add(pattern.line, name, f"{step_id!r} is no step of Investigate")
    read = frozenset[str]().union(*(steps_read(node, definitions) for node in pattern.conditions))
    for step_id in sorted(read - set(pattern.evidence)):
        faults.add(pattern.line, name, f"the match reads {step_id!r}, which is not listed")
    for node in pattern.conditions:
        if not may_be_condition(node):
            faults.add(pattern.line, f"{pattern.id}.match", "is never true: it says a value, not a condition")


def _listed(cell: str) -> list[str]:
    """The names of a comma list; a cell with ``-`` has none."""
    names = [name.strip().strip("`") for name in cell.split(",")]
    return [name for name in names if name not in {"", "-"}]
