"""Objectives and burn conditions as OpenSLO v1 (https://github.com/OpenSLO/OpenSLO).

An alert policy of OpenSLO has one condition, and a condition one window. So each of our conditions becomes a
policy of its own, by its long window; its description tells what else we ask for.
"""

from __future__ import annotations

import re
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from fractions import Fraction
from hashlib import sha256
from typing import Any

from kokino.alerts.conditions import Budget, Burn, Condition, OfLevel, Rate, long_window
from kokino.alerts.observe import View, view_of
from kokino.alerts.rule import AlertRule, NoData
from kokino.exports.counters import Counter, bad, good
from kokino.exports.promql import duration
from kokino.exports.yamltext import comment, written
from kokino.slo.budget import burn_rate_of
from kokino.slo.model import Objective, Objectives, SloId

SERVICE = "headless"
_API = "openslo/v1"
#: OpenSLO takes no longer names, and none that are no DNS label (RFC 1123); nor longer titles.
_LONGEST = 63
#: What a name is made of, and the name: of an owner, or of a rule and one of its conditions.
_Key = tuple[str, ...]
_Names = Mapping[_Key, str]
_HEAD = (
    "Objectives of Kokino as OpenSLO v1, written by `kokino export openslo`: do not edit.",
    "Not exported: the evidence gate, the second window of a condition, how an alert resolves.",
)
#: What each service level is, in a sentence.
_ABOUT = {
    SloId.AVAILABILITY: "Executions that complete, of all that came to an end and were not cancelled.",
    SloId.LATENCY: "Executions that take no longer than the threshold.",
    SloId.CORRECTNESS: "Comparisons of shadow mode that match.",
    SloId.INTEGRITY: "Conversations in which an integrity check finds no fault.",
    SloId.RESOURCES: "Executions whose memory stays within the limit of their CLI type.",
}


def documents(rules: Iterable[AlertRule], objectives: Objectives) -> str:
    """All of it as one YAML stream."""
    watched = [rule for rule in rules if rule.slo is not None and not rule.by]
    known = [objectives.of(id) for id in SloId]
    names = _names(
        [*((rule.owner,) for rule in watched), *(_key(r, part) for r in watched for part in r.conditions)]
    )
    objects = [
        _object("Service", SERVICE, "Headless executions", {"description": "Prompts run by agents."}),
        *(_slo(one, watched, names) for one in known if _is_expressible(one)),
        *_policies(watched, objectives, names),
        *_targets(watched, names),
    ]
    left_out = [
        f"Nor is {one.id}: OpenSLO has no target of 100 %." for one in known if not _is_expressible(one)
    ]
    return comment([*_HEAD, *left_out]) + "---\n".join(written(one) for one in objects)


def _object(kind: str, name: str, display_name: str, spec: dict[str, Any]) -> dict[str, Any]:
    is_long = len(display_name) > _LONGEST
    shown = f"{display_name[: _LONGEST - 1]}…" if is_long else display_name
    metadata = {"name": name, "displayName": shown}
    return {"apiVersion": _API, "kind": kind, "metadata": metadata, "spec": spec}


def _is_expressible(objective: Objective) -> bool:
    return objective.target < 1


def _slo(objective: Objective, rules: Iterable[AlertRule], names: _Names) -> dict[str, Any]:
    view = View(objective.id, objective.threshold)
    policies = [names[_key(rule, part)] for rule in rules for part in _conditions(rule, objective)]
    spec = {
        "description": _ABOUT[objective.id],
        "service": SERVICE,
        "budgetingMethod": "Occurrences",
        "timeWindow": [{"duration": duration(objective.window), "isRolling": True}],
        "indicator": _indicator(objective, view),
        "objectives": [{"displayName": f"{100 * objective.target:g} %", "target": objective.target}],
        **({"alertPolicies": [{"alertPolicyRef": name} for name in policies]} if policies else {}),
    }
    return _object("SLO", objective.id.value, objective.id.value.capitalize(), spec)


def _indicator(objective: Objective, view: View) -> dict[str, Any]:
    total = f"{_query(good(view))}\n+ {_query(bad(view))}"
    metric = {"counter": True, "good": _source(_query(good(view))), "total": _source(total)}
    return {"metadata": {"name": f"{objective.id}-ratio"}, "spec": {"ratioMetric": metric}}


def _source(query: str) -> dict[str, Any]:
    return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}


def _query(counter: Counter) -> str:
    """Both parts of a service level count from the first execution on, so none is ever missing."""
    less = "" if counter.less is None else f" - sum({counter.less})"
    return f"(sum({counter.metric}){less} or vector(0))"


def _policies(rules: Iterable[AlertRule], objectives: Objectives, names: _Names) -> Iterator[dict[str, Any]]:
    for rule in rules:
        objective = objectives.of(rule.slo) if rule.slo is not None else objectives.availability
        for part in _conditions(rule, objective):
            name = names[_key(rule, part)]
            yield _policy(rule, name, target=names[rule.owner,])
            yield _condition(rule, part, objective, name)


def _conditions(rule: AlertRule, objective: Objective) -> list[OfLevel]:
    """Those that are a matter of how fast this objective's budget burns."""
    if rule.slo is not objective.id or not _is_expressible(objective):
        return []
    own = View(objective.id, objective.threshold)
    return [part for part in rule.conditions if isinstance(part, OfLevel) and view_of(objective, part) == own]


def _policy(rule: AlertRule, name: str, *, target: str) -> dict[str, Any]:
    spec = {
        "description": f"Severity {rule.severity.value}, for {rule.owner}.",
        "alertWhenBreaching": True,
        "alertWhenResolved": True,
        "alertWhenNoData": rule.no_data is NoData.ALERT,
        "conditions": [{"conditionRef": name}],
        "notificationTargets": [{"targetRef": target}],
    }
    return _object("AlertPolicy", name, rule.title, spec)


def _condition(rule: AlertRule, part: OfLevel, objective: Objective, name: str) -> dict[str, Any]:
    op, rate, told = _threshold(part, objective)
    condition = {
        "kind": "burnrate",
        "op": op,
        "threshold": rate,
        "lookbackWindow": _shorthand(long_window(part)),
        "alertAfter": _shorthand(rule.pending_for),
    }
    spec = {"description": told, "severity": rule.severity.value, "condition": condition}
    return _object("AlertCondition", name, f"{rule.title}, {part.id}", spec)


def _threshold(part: OfLevel, objective: Objective) -> tuple[str, float, str]:
    """The operator, the burn rate, and what is asked for in words."""
    match part:
        case Rate():
            allowed = 1 - Fraction(str(objective.target))
            rate = (1 - Fraction(str(part.below))) / allowed
            return "gt", float(rate), f"Under {part.below:.4g} over {duration(part.window)}."
        case Budget():
            limit = burn_rate_of(part.share, part.window, objective.window)
            return "gte", limit, f"{part.share:.4g} of the budget within {duration(part.window)}."
        case Burn():
            short = duration(part.short)
            return "gte", part.rate, f"Kokino asks for the same over the last {short}, too."


def _targets(rules: Iterable[AlertRule], names: _Names) -> Iterator[dict[str, Any]]:
    for owner in dict.fromkeys(rule.owner for rule in rules):
        yield _object(
            "AlertNotificationTarget",
            names[owner,],
            owner,
            {"target": owner, "description": f"Reaches {owner}."},
        )


def _key(rule: AlertRule, part: Condition) -> _Key:
    return rule.id, part.id


def _names(keys: Iterable[_Key]) -> _Names:
    """A name for each: its own words, with a few digits where these are too long or another's too."""
    words = {key: re.sub(r"[^a-z0-9]+", "-", "-".join(key).lower()).strip("-") for key in keys}
    times = Tally(words.values())
    return {
        key: text if times[text] == 1 and 0 < len(text) <= _LONGEST else _told_apart(key, text)
        for key, text in words.items()
    }


def _told_apart(key: _Key, text: str) -> str:
    digits = sha256("\0".join(key).encode()).hexdigest()[:8]
    return f"{text[: _LONGEST - 9].strip('-')}-{digits}".strip("-")


def _shorthand(length: timedelta) -> str:
    """Whole minutes, hours or days; OpenSLO knows nothing shorter."""
    minutes = -(-length // timedelta(minutes=1))
    return duration(timedelta(minutes=minutes)) if minutes else "0m"
