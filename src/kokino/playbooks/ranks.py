"""Which pattern goes before which, and which can never be chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kokino.playbooks.document import Faults
from kokino.playbooks.evaluate import evaluate
from kokino.playbooks.expressions import Compare, Literal, Node, Not, Truth, names_in
from kokino.playbooks.model import Pattern
from kokino.playbooks.rows import Preference


def rank(
    patterns: Sequence[Pattern], preferences: Sequence[Preference], faults: Faults
) -> tuple[Pattern, ...]:
    """The patterns, each with all that it beats.

    A row that demands all that another demands, and more, beats it; ``prefer`` says so for rows that only
    overlap; and what a beaten row beats is beaten too. Rows that beat each other are noted, and so is a row
    that can never be chosen.
    """
    beats = {pattern.id: _demands_less(pattern, patterns) for pattern in patterns}
    for preference in preferences:
        _apply(preference, beats, faults)
    beats = _closed(beats)
    ranked = tuple(replace(pattern, beats=frozenset(beats[pattern.id])) for pattern in patterns)
    _check_cycles(ranked, faults)
    for pattern in ranked:
        if why := _why_never(pattern, ranked):
            faults.add(pattern.line, pattern.id, f"can never be chosen: {why}")
    return ranked


def _demands_less(pattern: Pattern, patterns: Sequence[Pattern]) -> set[str]:
    mine = set(pattern.conditions)
    return {other.id for other in patterns if set(other.conditions) < mine}


def _apply(preference: Preference, beats: Mapping[str, set[str]], faults: Faults) -> None:
    for name in (preference.first, *preference.over):
        if name not in beats:
            faults.add(preference.line, "prefer", f"{name!r} is no row of the table")
    if preference.first in beats:
        beats[preference.first].update(name for name in preference.over if name in beats)


def _closed(beats: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The transitive closure, Warshall's way."""
    closed = {name: set(beaten) for name, beaten in beats.items()}
    for between, further in closed.items():
        for beaten in closed.values():
            if between in beaten:
                beaten |= further
    return closed


def _check_cycles(patterns: Sequence[Pattern], faults: Faults) -> None:
    for pattern in patterns:
        if pattern.id in pattern.beats:
            faults.add(pattern.line, pattern.id, "goes before a row that goes before it")


def _why_never(pattern: Pattern, patterns: Sequence[Pattern]) -> str | None:
    if contradiction := _contradiction(pattern.conditions):
        return contradiction
    for other in patterns:
        is_implied = other is not pattern and set(other.conditions) <= set(pattern.conditions)
        if is_implied and (other.id not in pattern.beats or pattern.id in other.beats):
            return f"whenever it matches, {other.id} does too, and this row does not go before that one"
    return None


def _contradiction(conditions: Sequence[Node]) -> str | None:
    for node in conditions:
        if isinstance(node, Not) and node.term in conditions:
            return "it demands a condition and its opposite"
        if _is_constant(node) and evaluate(node, {}) is not True:
            return "a condition is never true"
    return "it demands two values of one thing" if _two_values(conditions) else None


def _is_constant(node: Node) -> bool:
    return not names_in(node)


def _two_values(conditions: Sequence[Node]) -> bool:
    demanded: dict[Node, Node] = {}
    for node in conditions:
        match node:
            case Compare(left, "==", (Literal() | Truth()) as right) if (
                demanded.setdefault(left, right) != right
            ):
                return True
    return False
