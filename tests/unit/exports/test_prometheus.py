"""The rule file for Prometheus, as text and as what it holds."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from kokino.alerts.rule import AlertRule
from kokino.alerts.rulefile import packaged, packaged_rule, read_rule
from kokino.errors import Fault
from kokino.exports.prometheus import rule_file
from kokino.slo.defaults import defaults

URL = "https://kokino.example/"
OWN = """
apiVersion: kokino/v1
kind: AlertRule
id: own
title: A rule of somebody's own
severity: P3
owner: "@somebody"
"""


def text(*rules: AlertRule) -> str:
    """The file with these rules."""
    return rule_file(rules, defaults(), public_url=URL)


def alert(rule: AlertRule) -> dict[str, Any]:
    """The alert of a rule's group."""
    [group] = yaml.safe_load(text(rule))["groups"]
    found: dict[str, Any] = group["rules"][-1]
    return found


def own(more: str) -> AlertRule:
    """A rule of one's own."""
    faults: list[Fault] = []
    rule = read_rule("own.yaml", OWN + more, faults)
    assert rule is not None, faults
    return rule


def test_every_shipped_rule_is_exported() -> None:
    """A group for each, which ends with its alert; but what came from an Alertmanager needs none."""
    groups = yaml.safe_load(text(*packaged()))["groups"]
    rules = [rule.id for rule in packaged() if rule.received is None]
    assert [group["rules"][-1]["alert"] for group in groups] == rules


def test_an_alert_says_who_and_what_to_do() -> None:
    """As its page would."""
    rule = packaged_rule("availability-slo-breach")
    told = alert(rule)
    assert told["labels"] == {
        **rule.labels,
        "severity": "P1",
        "owner": "@backend-team",
        "channel": "#headless-alerts",
    }
    assert told["annotations"]["runbook_url"] == "https://kokino.example/playbooks/availability-slo-breach"
    assert told["annotations"]["summary"] == rule.title


def test_an_alert_of_many_says_which_one() -> None:
    """Its labels stand in its summary."""
    summary = alert(packaged_rule("circuit-breaker-opened"))["annotations"]["summary"]
    assert summary == "Circuit breaker opened: {{ $labels.agent }}, {{ $labels.cli_type }}"


def test_what_is_left_out_is_named_in_the_file_and_with_the_alert() -> None:
    """The gate, probes and inhibition of the rule that pages."""
    rule = packaged_rule("availability-slo-breach")
    for said in ("The evidence gate", "Probes", "inhibit_rules"):
        assert said in alert(rule)["annotations"]["not_exported"]
        assert said in text(rule).partition("- name")[0]


def test_no_rule_extrapolates() -> None:
    """`increase` and `rate` guess at the edges of a window."""
    assert not any(word in text(*packaged()) for word in ("increase(", "rate(", "delta("))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        pytest.param(
            """
conditions: [{id: late, kind: timer, started_by: [LOCK_TIMEOUT], ended_by: [AGENT_REMOVED], after: 5m}]
resolve: {kind: quiet}
""",
            "a timer is due at an instant of its own",
            id="a timer",
        ),
        pytest.param(
            """
conditions: [{id: many, kind: count, of: [EXECUTION_STUCK], at_least: 3, window: 1h}]
resolve: {kind: quiet}
""",
            "events are counted by no metric",
            id="a count of events",
        ),
        pytest.param(
            """
conditions: [{id: waits, kind: level, raised_by: [EXECUTION_WAITING], lowered_by: [AGENT_REMOVED]}]
resolve: {kind: quiet}
""",
            "no metric tells this level; those that are told: headless_circuit_open",
            id="a level that no metric tells",
        ),
        pytest.param(
            """
slo: availability
by: [agent]
conditions: [{id: low, kind: rate, below: 0.9, window: 1h}]
resolve: {kind: rate, at_least: 0.9, window: 5m, min_successes: 3}
""",
            "no metric of executions tells them apart by agent",
            id="executions of one agent",
        ),
    ],
)
def test_a_rule_without_a_metric_is_left_out_by_name(more: str, reason: str) -> None:
    """With the reason, and what the others are stays valid."""
    written = text(own(more), packaged_rule("watchdog"))
    assert "Nothing of own can be exported." in written
    assert reason in " ".join(written.replace("#", " ").split())
    assert [group["name"] for group in yaml.safe_load(written)["groups"]] == ["watchdog"]


def test_a_condition_without_a_metric_does_not_take_the_others_with_it() -> None:
    """The rule is exported with what can be."""
    rule = own(
        """
slo: availability
pending_for: 2m
conditions:
  - {id: low, kind: rate, below: 0.9, window: 1h}
  - {id: many, kind: count, of: [EXECUTION_STUCK], at_least: 3, window: 1h}
resolve: {kind: rate, at_least: 0.9, window: 5m, min_successes: 3}
"""
    )
    assert (
        "The condition many: events are counted by no metric." in alert(rule)["annotations"]["not_exported"]
    )
    assert alert(rule)["for"] == "2m"
