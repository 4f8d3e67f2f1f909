"""One alert rule as a group of Prometheus rules, which are evaluated in their order at one instant.

    counters -> windows -> fires, firing, clears, resolves -> where windows start anew -> the alert

``firing`` is the alert's own state of the evaluation before: so it resolves by a condition of its own. What a
counter was at a resolve is recorded, so windows never reach back behind it, as ours do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kokino.alerts.conditions import Always, Recovered
from kokino.alerts.rule import AlertRule, By
from kokino.exports.conditions import Writer, exported, why_not
from kokino.exports.counters import TURN_AGE, Names, counter_rules, ratio_rule, window_rule, zero
from kokino.exports.promql import duration, ignoring, literal, without
from kokino.slo.model import Objectives, SloId

#: A broker that was scraped by nobody for so long is gone, and its alerts with it.
GONE = timedelta(days=1)
#: What always fires is a sign of life: it does while all rules were looked at within this time, and within
#: that of so many scrapes, for each asks for the next look.
WATCHED, SCRAPES = timedelta(minutes=3), 3

_Record = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What Prometheus is given for one alert rule."""

    rule: AlertRule
    #: What of it is not exported, and why, as sentences.
    left_out: tuple[str, ...]
    #: Prometheus rules, in the order of their evaluation; none where nothing can be exported.
    rules: tuple[dict[str, Any], ...]


def group(rule: AlertRule, objectives: Objectives, *, interval: timedelta, public_url: str) -> Group:
    """The group of one rule, for a Prometheus that evaluates it each `interval`."""
    missing = left_out(rule)
    if not exported(rule):
        return Group(rule=rule, left_out=missing, rules=())
    alert = {
        "alert": rule.id,
        "expr": _expression(rule, interval),
        **({"for": duration(rule.pending_for)} if rule.pending_for else {}),
        "labels": {name: literal(value) for name, value in labels(rule).items()},
        "annotations": _templates(rule, missing, public_url),
    }
    recorded = [{"record": name, "expr": text} for name, text in _records(rule, objectives, interval)]
    return Group(rule=rule, left_out=missing, rules=(*recorded, alert))


def labels(rule: AlertRule) -> dict[str, str]:
    """The alert's labels, beside those of its target."""
    channel = {} if rule.channel is None else {"channel": rule.channel}
    return {**rule.labels, "severity": rule.severity.value, "owner": rule.owner, **channel}


def told(rule: AlertRule, missing: Sequence[str], public_url: str, by: Mapping[str, str]) -> dict[str, str]:
    """What people are told, with nothing that changes while it fires; `by` are the alert's own labels."""
    found = {"summary": _summary(rule.title, by.values())}
    if rule.playbook is not None:
        found["runbook_url"] = f"{public_url.rstrip('/')}/playbooks/{rule.playbook}"
    if missing:
        found["not_exported"] = " ".join(missing)
    return found


def left_out(rule: AlertRule) -> tuple[str, ...]:
    """What of a rule is not exported, and why, as sentences."""
    return tuple(_left_out(rule))


def _templates(rule: AlertRule, missing: Sequence[str], public_url: str) -> dict[str, str]:
    """The same for Prometheus, which puts the alert's own labels in."""
    said = {name: literal(text) for name, text in told(rule, missing, public_url, {}).items()}
    by = [f"{{{{ $labels.{one.value} }}}}" for one in rule.by]
    return {**said, "summary": _summary(literal(rule.title), by)}


def _summary(title: str, by: Iterable[str]) -> str:
    return ": ".join(filter(None, (title, ", ".join(by))))


def _expression(rule: AlertRule, interval: timedelta) -> str:
    names = Names(rule.id)
    if _is_always(rule):
        return f"{TURN_AGE} < {max(WATCHED, SCRAPES * interval).total_seconds():g}"
    fires, firing, resolves = (names.of(what) for what in ("fires", "firing", "resolves"))
    return f"({fires} unless {firing})\nor\n({firing} unless {resolves})"


def _is_always(rule: AlertRule) -> bool:
    return any(isinstance(condition, Always) for condition in rule.conditions)


def _records(rule: AlertRule, objectives: Objectives, interval: timedelta) -> Iterator[_Record]:
    if _is_always(rule):
        return
    objective = None if rule.slo is None else objectives.of(rule.slo)
    names, writer = Names(rule.id), Writer(rule, objective, Names(rule.id))
    ratios, by = writer.ratios(), rule.by
    windows = dict.fromkeys(
        (counter, ratio.length) for ratio in ratios for counter in (*ratio.of, ratio.part)
    )
    counters = dict.fromkeys(counter for counter, _ in windows)
    yield from zero(names, by if windows else ())
    for counter in counters:
        yield from counter_rules(names, counter, by)
    for counter, length in windows:
        yield window_rule(names, counter, length, by)
    yield from (ratio_rule(names, ratio) for ratio in ratios)
    yield names.of("fires"), writer.fires()
    yield names.of("firing"), _firing(rule, names)
    yield names.of("clears"), _clears(writer, names, by)
    yield from _resolves(rule, names, interval)
    for counter in counters:
        yield names.of(f"{counter.name}_at_resolve"), f"{names.of(counter.name)} and {names.of('resolves')}"


def _firing(rule: AlertRule, names: Names) -> str:
    """The alert itself as it was before, with the labels that its conditions have."""
    own = without(
        ["alertname", "alertstate", *labels(rule)],
        f'ALERTS{{alertname="{rule.id}", alertstate="firing"}}',
        by="max",
    )
    return f"{own}\nand {ignoring(rule.by)}last_over_time({names.of('zero')}[{duration(GONE)}])"


def _clears(writer: Writer, names: Names, by: tuple[By, ...]) -> str:
    firing, written = names.of("firing"), writer.clears()
    if written is not None:
        return f"{firing} and (\n{written}\n)"
    # A broker that is not scraped is not well for that.
    return f"({firing} and {ignoring(by)}{names.of('zero')}) unless {names.of('fires')}"


def _resolves(rule: AlertRule, names: Names, interval: timedelta) -> Iterator[_Record]:
    """Clear, and since so long that nothing else is within the hold."""
    clears = names.of("clears")
    if not rule.resolve.hold:
        yield names.of("resolves"), clears
        return
    unclear = names.of("unclear")
    yield unclear, f"({names.of('fires')} or {names.of('firing')}) unless {clears}"
    yield (
        names.of("resolves"),
        f"{clears} unless count_over_time({unclear}[{duration(rule.resolve.hold + interval)}])",
    )


def _left_out(rule: AlertRule) -> Iterator[str]:
    if rule.gate != "none":
        yield "The evidence gate: here each condition holds on its threshold alone, with any traffic."
    for condition in rule.conditions:
        reason = why_not(rule, condition)
        if reason is not None:
            yield f"The condition {condition.id}: {reason}."
    if isinstance(rule.resolve, Recovered) and rule.slo is SloId.AVAILABILITY:
        yield "Probes: here only users' executions prove that it is over."
    if rule.inhibits:
        kept = ", ".join(inhibits.rule for inhibits in rule.inhibits)
        yield f"That it inhibits {kept}: Alertmanager has inhibit_rules for that."
