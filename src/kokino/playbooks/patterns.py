"""Choose the pattern that the evidence shows, and say why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from kokino.playbooks.evaluate import UNKNOWN, Scope, Value, evaluate, explain, scope_of
from kokino.playbooks.expressions import Node
from kokino.playbooks.model import InputSource, Pattern, Playbook, StepResult

#: Longest value that an input takes; a name in an alert is never longer.
MAX_INPUT = 256


class Verdict(StrEnum):
    """What the evidence says of one pattern."""

    MATCHED = "matched"
    NOT_MATCHED = "not_matched"
    #: The evidence that would tell is missing.
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """One pattern and what was found of it."""

    #: Which one.
    pattern_id: str
    #: What the evidence says.
    verdict: Verdict
    #: The conditions that decided, with what they looked at.
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The pattern to act on, or none and a person to ask."""

    #: The chosen one; None where none matched, several did, or it could not be told.
    pattern: Pattern | None
    #: Why, as a sentence.
    reason: str
    #: Values of the inputs that its actions read, by name.
    inputs: Mapping[str, str] = field(default_factory=dict)
    #: Every row of the table, in order.
    considered: tuple[Considered, ...]


def choose(playbook: Playbook, evidence: Mapping[str, StepResult]) -> Match:
    """The most specific of the patterns that match.

    None is chosen where two match and neither goes before the other, where one that goes before the winner
    could not be decided, and where an input of its actions has no value: acting then would be guessing.
    """
    scope = scope_of(evidence, playbook.definitions)
    considered = tuple(consider(pattern, scope) for pattern in playbook.patterns)
    by_verdict = {
        verdict: [playbook.pattern(c.pattern_id) for c in considered if c.verdict is verdict]
        for verdict in Verdict
    }
    winner, reason = _winner(by_verdict[Verdict.MATCHED], by_verdict[Verdict.UNDECIDED])
    if winner is None:
        return Match(pattern=None, reason=reason, considered=considered)
    return _bound(playbook, winner, reason, scope, considered)


def consider(pattern: Pattern, scope: Scope) -> Considered:
    """What the evidence says of one pattern."""
    verdict, deciding = weigh(pattern.conditions, scope)
    why = "; ".join(explain(condition, scope) for condition in deciding)
    return Considered(pattern_id=pattern.id, verdict=verdict, why=why)


def weigh(conditions: Sequence[Node], scope: Scope) -> tuple[Verdict, tuple[Node, ...]]:
    """Whether all conditions hold, and those that decided it: one false is enough, then any unknown."""
    values = [(condition, evaluate(condition, scope)) for condition in conditions]
    if failed := tuple(condition for condition, value in values if value is False):
        return Verdict.NOT_MATCHED, failed
    if unknown := tuple(condition for condition, value in values if value is not True):
        return Verdict.UNDECIDED, unknown
    return Verdict.MATCHED, tuple(conditions)


def _winner(matched: Sequence[Pattern], undecided: Sequence[Pattern]) -> tuple[Pattern | None, str]:
    if not matched:
        names = " and ".join(pattern.id for pattern in undecided)
        return None, f"no pattern matched; {names} could not be decided" if names else "no pattern matched"
    beaten = frozenset[str]().union(*(pattern.beats for pattern in matched))
    best = [pattern for pattern in matched if pattern.id not in beaten]
    if len(best) > 1:
        names = " and ".join(pattern.id for pattern in best)
        return None, f"{names} match alike, and neither is the more specific one"
    winner = best[0]
    doubts = [pattern.id for pattern in undecided if winner.id in pattern.beats]
    if doubts:
        return None, f"{winner.id} matches, but {' and '.join(doubts)}, more specific, could not be decided"
    others = [pattern.id for pattern in matched if pattern is not winner]
    over = f", more specific than {' and '.join(others)}" if others else ""
    return winner, f"{winner.id} matches{over}"


def _bound(
    playbook: Playbook, winner: Pattern, reason: str, scope: Scope, considered: tuple[Considered, ...]
) -> Match:
    values = {name: _input_text(scope.get(name, UNKNOWN)) for name in _needed(playbook, winner)}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        reason = f"{winner.id} matches, but the evidence does not tell {', '.join(missing)} for its actions"
        return Match(pattern=None, reason=reason, considered=considered)
    inputs = {name: value for name, value in values.items() if value is not None}
    return Match(pattern=winner, reason=reason, inputs=inputs, considered=considered)


def _needed(playbook: Playbook, pattern: Pattern) -> list[str]:
    """The inputs that come from the evidence and that the pattern's actions, or taking them back, read."""
    names: set[str] = set()
    waiting, seen = list(pattern.actions), set[str]()
    while waiting:
        step = playbook.step(waiting.pop())
        if step.id not in seen:
            seen.add(step.id)
            names |= step.inputs
            waiting += [other for other in (step.undo, step.after and step.after.step_id) if other]
    return sorted(name for name in names if playbook.inputs[name].source is InputSource.PATTERN)


def _input_text(value: Value) -> str | None:
    """The value as an environment variable holds it; None where it cannot."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= MAX_INPUT:
        return None
    return value
