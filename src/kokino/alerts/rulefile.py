"""Rule files: read, checked, with all faults at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from kokino.alerts.rule import AlertRule, Burn
from kokino.errors import ConfigInvalid, Fault
from kokino.slo.yamlfile import YamlFile, parse, read


def read_rule(name: str, text: str, faults: list[Fault]) -> AlertRule | None:
    """The rule in a file; None when it has faults, which are then in `faults`, each with its line."""
    file = parse(name, text, faults)
    rule = None if file is None else read(file, AlertRule, faults)
    if file is None or rule is None:
        return None
    found = [*_faults(file, rule)]
    faults.extend(found)
    return None if found else rule


@cache
def packaged() -> tuple[AlertRule, ...]:
    """The rules that ship with Kokino.

    Raises `ConfigInvalid` with every fault of every file.
    """
    faults: list[Fault] = []
    folder = files("kokino.alerts") / "rules"
    shipped = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name
    )
    rules = [read_rule(file.name, file.read_text(encoding="utf-8"), faults) for file in shipped]
    if faults:
        raise ConfigInvalid(faults)
    return tuple(rule for rule in rules if rule is not None)


def _faults(file: YamlFile, rule: AlertRule) -> Iterator[Fault]:
    """What is wrong between values that are right each by itself."""
    yield from _alpha_faults(file, rule)
    yield from _condition_faults(file, rule)
    yield from _test_faults(file, rule)


def _alpha_faults(file: YamlFile, rule: AlertRule) -> Iterator[Fault]:
    for number, condition in enumerate(rule.conditions):
        if rule.p is not None and condition.alpha is None:
            yield file.fault(
                ("conditions", number, "alpha"), "is missing: a gated condition says how sure it must be"
            )


def _condition_faults(file: YamlFile, rule: AlertRule) -> Iterator[Fault]:
    times = Counter(condition.id for condition in rule.conditions)
    for number, condition in enumerate(rule.conditions):
        if times[condition.id] > 1:
            yield file.fault(("conditions", number, "id"), f"{condition.id!r} stands here more than once")
        if isinstance(condition, Burn) and condition.short >= condition.long:
            yield file.fault(("conditions", number, "short"), "must be shorter than the long window")


def _test_faults(file: YamlFile, rule: AlertRule) -> Iterator[Fault]:
    known = {condition.id for condition in rule.conditions}
    for number, test in enumerate(rule.tests):
        for place, expected in enumerate(test.expect):
            if expected.condition is not None and expected.condition not in known:
                path = ("tests", number, "expect", place, "condition")
                listed = ", ".join(sorted(known))
                yield file.fault(path, f"{expected.condition!r} is no condition; known: {listed}")
