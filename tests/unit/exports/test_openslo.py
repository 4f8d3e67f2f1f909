"""OpenSLO v1, held against what its specification asks of each kind of object."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from kokino.alerts.rulefile import packaged, packaged_rule
from kokino.exports.openslo import documents
from kokino.slo.defaults import defaults

#: A DNS label (RFC 1123), which is what every implementation must take as a name.
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
LENGTH = re.compile(r"[0-9]+[mhdwMQY]")
#: What the specification requires in the `spec` of each kind.
REQUIRED = {
    "Service": set(),
    "SLO": {"service", "indicator", "budgetingMethod", "timeWindow", "objectives"},
    "AlertPolicy": {
        "alertWhenBreaching",
        "alertWhenResolved",
        "alertWhenNoData",
        "conditions",
        "notificationTargets",
    },
    "AlertCondition": {"severity", "condition"},
    "AlertNotificationTarget": {"target"},
}


@pytest.fixture(scope="module")
def objects() -> list[dict[str, Any]]:
    """Everything that is exported."""
    return list(yaml.safe_load_all(documents(packaged(), defaults())))


def specs(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """The objects of one kind by their names."""
    return {one["metadata"]["name"]: one["spec"] for one in objects if one["kind"] == kind}


def test_every_object_is_one_of_openslo_v1(objects: list[dict[str, Any]]) -> None:
    """A name that everybody takes, used once for a kind, and what is required."""
    for one in objects:
        assert one["apiVersion"] == "openslo/v1"
        assert NAME.fullmatch(one["metadata"]["name"])
        assert len(one["metadata"]["displayName"]) <= 63
        assert len(one["spec"].get("description", "")) <= 1050
        assert REQUIRED[one["kind"]] <= set(one["spec"])
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(names) == len(set(names))


def test_every_reference_leads_somewhere(objects: list[dict[str, Any]]) -> None:
    """From a level to its policies, and from these to a condition and to whom it tells."""
    policies, conditions, targets, services = (
        specs(objects, kind)
        for kind in ("AlertPolicy", "AlertCondition", "AlertNotificationTarget", "Service")
    )
    assert policies
    for level in specs(objects, "SLO").values():
        assert level["service"] in services
        assert {one["alertPolicyRef"] for one in level.get("alertPolicies", ())} <= set(policies)
    for policy in policies.values():
        [condition] = policy["conditions"]
        assert condition["conditionRef"] in conditions
        assert {one["targetRef"] for one in policy["notificationTargets"]} <= set(targets)


def test_every_objective_is_there_but_that_of_100_percent(objects: list[dict[str, Any]]) -> None:
    """A target of OpenSLO is under 1; the file says which one is left out."""
    levels = specs(objects, "SLO")
    assert set(levels) == {"availability", "latency", "correctness", "resources"}
    assert "Nor is integrity" in documents(packaged(), defaults())
    for level in levels.values():
        assert 0 <= level["objectives"][0]["target"] < 1
        [window] = level["timeWindow"]
        assert window["isRolling"]
        assert LENGTH.fullmatch(window["duration"])


def test_the_burn_conditions_of_the_rule_that_pages(objects: list[dict[str, Any]]) -> None:
    """Under 99 % of 99.5 % is a burn rate above 2, a tenth of the budget in an hour one of 72."""
    found = {
        name: (one["condition"]["op"], one["condition"]["threshold"], one["condition"]["lookbackWindow"])
        for name, one in specs(objects, "AlertCondition").items()
        if name.startswith("availability-slo-breach")
    }
    assert found == {
        "availability-slo-breach-rate-1h": ("gt", 2.0, "1h"),
        "availability-slo-breach-budget-1h": ("gte", 72.0, "1h"),
        "availability-slo-breach-burn-1h-5m": ("gte", 14.4, "1h"),
        "availability-slo-breach-burn-6h-30m": ("gte", 6.0, "6h"),
    }


def rules(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    """What is exported of the rule that pages, changed so."""
    paging = packaged_rule("availability-slo-breach")
    changed = [paging.model_copy(update=change) for change in changes]
    found = list(yaml.safe_load_all(documents(changed, defaults())))
    test_every_object_is_one_of_openslo_v1(found)
    test_every_reference_leads_somewhere(found)
    return found


def test_names_that_are_cut_stay_different() -> None:
    """Two conditions of one long rule are two policies; a title is cut, too."""
    assert len(specs(rules({"id": "a" * 80, "title": "b" * 80}), "AlertPolicy")) == 4


def test_names_that_would_be_the_same_are_told_apart() -> None:
    """Owners by what a DNS label cannot hold, rules by where their names end."""
    found = rules({"id": "a-b", "owner": "@a.b"}, {"id": "a.b", "owner": "@a-b"}, {"id": "c", "owner": "@"})
    assert len(specs(found, "AlertPolicy")) == 12
    assert len(specs(found, "AlertNotificationTarget")) == 3
