"""Rule files: read, checked, with all faults at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from kokino.alerts.conditions import Burn, Lower, Mean, OfLevel, Quiet, Rate, Received, Recovered
from kokino.alerts.model import Phase
from kokino.alerts.rule import AlertRule
from kokino.clock import MILLISECOND
from kokino.errors import ConfigInvalid, Fault
from kokino.ids import metric_word
from kokino.slo.model import SloId
from kokino.slo.yamlfile import Path as Place
from kokino.slo.yamlfile import YamlFile, parse, read
from kokino.slo.yamlfolder import SUFFIX, texts
from kokino.telemetry.histogram import EXACT_EDGES

#: Folder in the package, and in a home.
SHIPPED_FOLDER = "rules"
HOME_FOLDER = "alerts"
#: A rule, and its file that still knows the lines.
Located = tuple[YamlFile, AlertRule]
#: Labels that say what a rule says elsewhere.
_GIVEN = ("alertname", "alertstate", "severity", "owner", "channel")
#: Service levels of executions; the others are no agent's and no CLI type's.
_OF_EXECUTIONS = frozenset({SloId.AVAILABILITY, SloId.LATENCY, SloId.RESOURCES})


def read_rule(name: str, text: str, faults: list[Fault]) -> AlertRule | None:
    """The rule in a file; None when it has faults, which are then in `faults`, each with its line."""
    found = _read(name, text, faults)
    return None if found is None else found[1]


def load_rules(home: Path | None, faults: list[Fault]) -> tuple[AlertRule, ...]:
    """All rules; ``<home>/alerts/ID.yaml`` takes the place of the shipped file of that name.

    Those whose files have faults are left out, with every fault of every file in `faults`.
    """
    return tuple(rule for _, rule in located_rules(home, faults))


def located_rules(home: Path | None, faults: list[Fault]) -> list[Located]:
    """The same with their files, for whoever finds more that is wrong with them."""
    own = None if home is None else home / HOME_FOLDER
    found: list[Located] = []
    for each in texts(files("kokino.alerts") / SHIPPED_FOLDER, own, faults):
        if (one := _read(each.name, each.text, faults)) is None:
            continue
        found.append(one)
        if one[1].id != each.stem:
            said = f"must be the name of the file without {SUFFIX}, {each.stem!r}"
            faults.append(one[0].fault(["id"], said))
    faults.extend(_inhibition_faults(found))
    faults.extend(_likeness_faults(found))
    return found


@cache
def packaged() -> tuple[AlertRule, ...]:
    """The rules that ship with Kokino, in the order of their ids.

    Raises `ConfigInvalid` with every fault of every file.
    """
    faults: list[Fault] = []
    rules = load_rules(None, faults)
    if faults:
        raise ConfigInvalid(faults)
    return rules


def packaged_rule(rule_id: str) -> AlertRule:
    """The shipped rule of that id. Raises `KeyError`."""
    return {rule.id: rule for rule in packaged()}[rule_id]


def _read(name: str, text: str, faults: list[Fault]) -> Located | None:
    file = parse(name, text, faults)
    rule = None if file is None else read(file, AlertRule, faults)
    if file is None or rule is None:
        return None
    found = [file.fault(place, said) for place, said in _faults(rule)]
    faults.extend(found)
    return None if found else (file, rule)


def _faults(rule: AlertRule) -> Iterator[tuple[Place, str]]:
    """What is wrong between values that are right each by itself."""
    times = Counter(condition.id for condition in rule.conditions)
    for number, condition in enumerate(rule.conditions):
        place = ("conditions", number)
        if times[condition.id] > 1:
            yield (*place, "id"), f"{condition.id!r} stands here more than once"
        if isinstance(condition, Burn) and condition.short >= condition.long:
            yield (*place, "short"), "must be shorter than the long window"
        if isinstance(condition, OfLevel) and rule.p is not None and condition.alpha is None:
            yield (*place, "alpha"), "is missing: a gated condition says how sure it must be"
        yield from _level_faults(rule, condition, place)
    yield from _level_faults(rule, rule.resolve, ("resolve",))
    yield from _by_faults(rule)
    yield from _label_faults(rule)
    yield from _received_faults(rule)
    yield from _test_faults(rule)


def _level_faults(rule: AlertRule, part: object, place: Place) -> Iterator[tuple[Place, str]]:
    """A part that counts a service level needs one, and the right one."""
    if isinstance(part, OfLevel | Recovered) and rule.slo is None:
        yield (*place, "kind"), "counts a service level: the rule must say which, slo: availability"
    if isinstance(part, Mean | Lower) and rule.slo is not SloId.RESOURCES:
        yield (*place, "kind"), "is about what executions take: the rule must say slo: resources"
    if isinstance(part, Rate | Recovered) and part.within is not None:
        if rule.slo is not SloId.LATENCY:
            yield (*place, "within"), "belongs to a rule with slo: latency"
        elif part.within / MILLISECOND not in EXACT_EDGES:
            exact = ", ".join(f"{edge / 1000:g}s" for edge in EXACT_EDGES)
            yield (*place, "within"), f"must be one of the lengths that are counted exactly: {exact}"


def _by_faults(rule: AlertRule) -> Iterator[tuple[Place, str]]:
    if len(set(rule.by)) < len(rule.by):
        yield ("by",), "says one of them twice"
    if rule.by and rule.slo is None and not rule.begun_by():
        yield ("by",), "cannot be where every condition holds always, and for nobody"
    if not rule.by or rule.slo is None:
        return
    if rule.slo not in _OF_EXECUTIONS:
        yield ("by",), f"cannot be: {rule.slo} is no agent's and no CLI type's"
    elif len(rule.by) > 1:
        yield ("by",), "takes one of them where the rule has a service level"
    if rule.begun_by():
        yield ("by",), "cannot be where some conditions count a service level and others name events"


def _label_faults(rule: AlertRule) -> Iterator[tuple[Place, str]]:
    """A label of that name would be lost, or hide what tells alerts apart."""
    for name in rule.labels:
        if name in _GIVEN:
            yield ("labels", name), "is given to every alert from what its rule says elsewhere"
        elif name in tuple(rule.by):
            yield ("labels", name), "is what the rule has alerts by"


def _received_faults(rule: AlertRule) -> Iterator[tuple[Place, str]]:
    """An alert of others is taken as it is: its own rule, elsewhere, has said everything else of it."""
    for number, condition in enumerate(rule.conditions):
        if not isinstance(condition, Received):
            continue
        if len(rule.conditions) > 1:
            yield ("conditions", number, "kind"), "must stand alone: each alert of others has one here"
        if rule.slo is not None or rule.by:
            place = ("slo",) if rule.slo is not None else ("by",)
            yield place, "cannot be of a rule about alerts of others: what tells them apart are their labels"
        if rule.labels:
            yield ("labels",), "cannot be: its alerts have the labels that they came with"
        if not isinstance(rule.resolve, Quiet):
            yield ("resolve", "kind"), "must be quiet: it is over when its Alertmanager says so"


def _test_faults(rule: AlertRule) -> Iterator[tuple[Place, str]]:
    known = {condition.id for condition in rule.conditions}
    for number, test in enumerate(rule.tests):
        for expectation, expected in enumerate(test.expect):
            place = ("tests", number, "expect", expectation)
            listed = ", ".join(sorted(known))
            if expected.condition is not None and expected.condition not in known:
                yield (*place, "condition"), f"{expected.condition!r} is no condition; known: {listed}"
            for stranger in sorted(set(expected.holding or ()) - known):
                yield (*place, "holding"), f"{stranger!r} is no condition; known: {listed}"
            if expected.holding is not None and expected.state is not Phase.FIRING:
                yield (*place, "holding"), "is kept of an alert that is firing: expect that too"
            if rule.received is not None:
                if not expected.labels:
                    yield (*place, "labels"), "must be those of an alert: the rule has one for each"
            elif set(expected.labels) != set(rule.by):
                asked = ", ".join(rule.by) or "none"
                yield (*place, "labels"), f"must name what the rule has alerts by: {asked}"


def _inhibition_faults(found: Iterable[Located]) -> Iterator[Fault]:
    """Whom a rule keeps quiet must be there, and never this rule in turn: then nobody would hear of any."""
    rules = {rule.id: rule for _, rule in found}
    for file, rule in found:
        for number, inhibits in enumerate(rule.inhibits):
            place = ("inhibits", number, "rule")
            if inhibits.rule not in rules:
                yield file.fault(place, f"there is no rule {inhibits.rule!r}; there are: {', '.join(rules)}")
            elif rule.id in _quieted(inhibits.rule, rules):
                said = f"{inhibits.rule} keeps this rule quiet in turn, and nobody would hear of either"
                yield file.fault(place, said)


def _likeness_faults(found: Iterable[Located]) -> Iterator[Fault]:
    """In Prometheus each of two such rules would read what is recorded for the other."""
    first: dict[str, str] = {}
    for file, rule in found:
        other = first.setdefault(metric_word(rule.id), rule.id)
        if other != rule.id:
            said = f"differs from {other!r} only in '.', '-' or '_', which names of metrics do not tell apart"
            yield file.fault(["id"], said)


def _quieted(rule_id: str, rules: Mapping[str, AlertRule]) -> set[str]:
    """The rule itself, those that it keeps quiet, those that they do, and so on."""
    found: set[str] = set()
    waiting = [rule_id]
    while waiting:
        name = waiting.pop()
        if name in rules and name not in found:
            found.add(name)
            waiting += [inhibits.rule for inhibits in rules[name].inhibits]
    return found
