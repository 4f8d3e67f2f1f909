"""Alert rules with one thing wrong, which a rule's own tests must notice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from kokino.alerts.conditions import Rate
from kokino.alerts.rule import AlertRule, NoData

#: By how much a threshold or a window is wrong: so much that somebody would be paged wrongly.
FACTOR = 1.25
#: By how much a chance is wrong: two failures of four are about half as likely as two of five.
CHANCE_FACTOR = 2.0
CHANCES = frozenset({"alpha", "p"})
#: By how much a hold is wrong: most rules ask for none.
HOLD = timedelta(seconds=30)
HOLDS = frozenset({"hold", "pending_for"})
#: Of a share above this it is what may be missing that is a quarter too much or too little.
HALF = 0.5

#: A sentence that says what is wrong, and the rule.
Mutant = tuple[str, AlertRule]


def mutants(rule: AlertRule) -> Iterator[Mutant]:
    """Every number shifted up and down, every event type left out once, every other meaning of no data."""
    for number, condition in enumerate(rule.conditions):
        for said, wrong in _wrong(condition):
            if said.startswith("min_bad") and _is_left_to_the_gate(rule, condition):
                continue
            changed = (*rule.conditions[:number], wrong, *rule.conditions[number + 1 :])
            yield f"{condition.id}: {said}", rule.model_copy(update={"conditions": changed})
    for name in ("resolve", "gate"):
        if isinstance(part := getattr(rule, name), BaseModel):
            for said, wrong in _wrong(part):
                yield f"{name}: {said}", rule.model_copy(update={name: wrong})
    for value in _values("pending_for", rule.pending_for):
        yield f"pending_for {value}", rule.model_copy(update={"pending_for": value})
    for meaning in NoData:
        # Only a service level can have no data.
        if rule.slo is not None and meaning is not rule.no_data:
            yield f"no_data {meaning}", rule.model_copy(update={"no_data": meaning})


def _is_left_to_the_gate(rule: AlertRule, condition: BaseModel) -> bool:
    """One failure never passes a gate: there is nothing for `min_bad` to add."""
    return isinstance(condition, Rate) and "min_bad" not in condition.model_fields_set and rule.p is not None


def _wrong(part: BaseModel) -> Iterator[tuple[str, BaseModel]]:
    for name in type(part).model_fields:
        for value in _values(name, getattr(part, name)):
            told = ", ".join(value) if isinstance(value, tuple) else value
            yield f"{name} {told}", part.model_copy(update={name: value})


def _values(name: str, value: Any) -> Iterator[Any]:
    match value:
        case tuple():
            yield from (tuple(other for other in value if other is not each) for each in value)
        case timedelta() if name in HOLDS:
            yield from (other for other in (value - HOLD, value + HOLD) if other >= timedelta(0))
        case timedelta():
            yield from (value / FACTOR, value * FACTOR)
        case float() if name in CHANCES:
            yield from (value / CHANCE_FACTOR, value * CHANCE_FACTOR)
        case float() if HALF < value < 1:
            yield from (1 - (1 - value) * FACTOR, 1 - (1 - value) / FACTOR)
        case float():
            yield from (value / FACTOR, value * FACTOR)
        case int():
            yield from (other for other in (value - 1, value + 1) if other >= 1)
