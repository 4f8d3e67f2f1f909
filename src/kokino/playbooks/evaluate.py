"""What an expression of the match language means: a value, or `UNKNOWN`; never an exception.

Missing fields, nulls, wrong types and steps that failed are unknown. ``and``, ``or`` and ``not`` follow
Kleene's logic, as SQL does: unknown and false is false, unknown or true is true. A filter keeps only the rows
for which its condition is true.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Final

from kokino.playbooks.expressions import (
    And,
    Call,
    Compare,
    Exit,
    Field,
    Get,
    Literal,
    Name,
    Node,
    Not,
    OneOf,
    Or,
    Truth,
    write,
)
from kokino.playbooks.model import Definition, StepResult


class Unknown(Enum):
    """What cannot be told from the evidence."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN

#: A value of the language: JSON without null, or unknown.
Value = object
#: Values by name: definitions by theirs, a step's output by its id, a step's exit code by ``(id, "exit")``.
Scope = Mapping[str | tuple[str, str], Value]

#: Counts beyond this are no measurements; also keeps every sum free of overflow.
_LARGEST = 2**63
#: Characters of a value that an explanation shows.
_SHOWN = 60

_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def scope_of(results: Mapping[str, StepResult], definitions: Sequence[Definition] = ()) -> Scope:
    """The names that expressions may read. Definitions are worked out in order, each from those before it."""
    scope: dict[str | tuple[str, str], Value] = {}
    for step_id, result in results.items():
        scope[step_id] = _known(result.output) if result.exit_code == 0 else UNKNOWN
        scope[step_id, "exit"] = _known(result.exit_code)
    for definition in definitions:
        scope[definition.name] = evaluate(definition.expression, scope)
    return scope


def evaluate(node: Node, scope: Scope, row: Value = UNKNOWN) -> Value:
    """The value of an expression, `UNKNOWN` where the evidence does not tell."""
    match node:
        case Literal(value) | Truth(value):
            return value
        case Name(name):
            return scope.get(name, UNKNOWN)
        case Exit(step):
            return scope.get((step, "exit"), UNKNOWN)
        case Field(name):
            return _get(row, name)
        case Get(of, key):
            return _get(evaluate(of, scope, row), key)
        case Compare(left, sign, right):
            return _compare(evaluate(left, scope, row), sign, evaluate(right, scope, row))
        case OneOf(value, options):
            found = evaluate(value, scope, row)
            return _either([_compare(found, "==", option.value) for option in options])
        case Not(term):
            return _opposite(evaluate(term, scope, row))
        case And(terms):
            return _opposite(_either([_opposite(evaluate(term, scope, row)) for term in terms]))
        case Or(terms):
            return _either([evaluate(term, scope, row) for term in terms])
        case Call(of, method, argument):
            return _call(evaluate(of, scope, row), method, argument, scope)


def explain(condition: Node, scope: Scope) -> str:
    """One condition with what was found, as a sentence part for a person."""
    value = evaluate(condition, scope)
    if isinstance(condition, Compare):
        found, asked = condition.left, f"{condition.sign} {write(condition.right)}"
    elif isinstance(condition, OneOf):
        found, asked = condition.value, f"in ({', '.join(write(item) for item in condition.options)})"
    else:
        said = "holds" if value is True else "does not hold" if value is False else "is unknown"
        return f"{write(condition)} {said}"
    refused = "" if value is True else "not " if value is False else "undecided: "
    return f"{write(found)} is {show(evaluate(found, scope))} ({refused}{asked})"


def show(value: Value) -> str:
    """A value, short enough for a sentence."""
    if value is UNKNOWN:
        return "unknown"
    if isinstance(value, list):
        return "1 row" if len(value) == 1 else f"{len(value)} rows"
    text = "an object" if isinstance(value, dict) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _known(value: object) -> Value:
    return UNKNOWN if value is None else value


def _get(value: Value, key: str) -> Value:
    return _known(value.get(key)) if isinstance(value, dict) else UNKNOWN


def _number(value: Value) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= _LARGEST else None  # NaN is no number either


def _is_scalar(value: Value) -> bool:
    return isinstance(value, str | bool) or _number(value) is not None


def _compare(left: Value, sign: str, right: Value) -> Value:
    first, second = _number(left), _number(right)
    if first is not None and second is not None:
        return _SIGNS[sign](first, second)
    if sign not in {"==", "!="} or not (_is_scalar(left) and _is_scalar(right)):
        return UNKNOWN
    # The type too, for Python holds True and 1 to be equal.
    return (type(left) is type(right) and left == right) == (sign == "==")


def _opposite(value: Value) -> Value:
    return not value if isinstance(value, bool) else UNKNOWN


def _either(values: Sequence[Value]) -> Value:
    if any(value is True for value in values):
        return True
    return False if all(value is False for value in values) else UNKNOWN


def _call(of: Value, method: str, argument: Node | None, scope: Scope) -> Value:
    if method == "exists":
        return of is not UNKNOWN
    if method == "default":
        return evaluate(argument, scope) if of is UNKNOWN and argument is not None else of
    if method == "top":
        return _top(of)
    if not isinstance(of, list):
        return UNKNOWN
    values = [True if argument is None else evaluate(argument, scope, row) for row in of]
    return _over_rows(method, of, values)


def _over_rows(method: str, rows: list[object], values: list[Value]) -> Value:
    """A method over a list: `values` holds the argument's value for each of the `rows`."""
    kept = [row for row, value in zip(rows, values, strict=True) if value is True]
    match method:
        case "where":
            return kept
        case "count":
            return len(kept)
        case "one":
            return _known(kept[0]) if len(kept) == 1 else UNKNOWN
        case "any":
            return _either(values)
        case "all":
            # No rows prove nothing: an empty answer must not read as "all of them fail".
            return _opposite(_either([_opposite(value) for value in values])) if rows else UNKNOWN
        case _:
            return _over_numbers(method, rows, values)


def _over_numbers(method: str, rows: list[object], values: list[Value]) -> Value:
    found = [_number(value) for value in values]
    numbers = [number for number in found if number is not None]
    if len(numbers) < len(rows) or (not numbers and method != "sum"):
        return UNKNOWN
    match method:
        case "sum":
            return sum(numbers)
        case "min" | "max":
            return min(numbers) if method == "min" else max(numbers)
        case _:
            wanted = max(numbers) if method == "most" else min(numbers)
            return _known(rows[numbers.index(wanted)])


def _top(value: Value) -> Value:
    """The key of the largest number in an object, the first of equals."""
    if not isinstance(value, dict):
        return UNKNOWN
    counts = {str(key): number for key, raw in value.items() if (number := _number(raw)) is not None}
    return max(counts, key=lambda key: counts[key]) if counts else UNKNOWN
