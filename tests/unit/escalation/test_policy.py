"""Escalation policies: the packaged table, and files in its form."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kokino.errors import Fault
from kokino.escalation.policy import packaged, read_policies
from kokino.notify.model import Severity

HOUR = timedelta(hours=1)
QUARTER = timedelta(minutes=15)


@pytest.mark.parametrize(
    ("rule_id", "matrix"),
    [
        ("availability-slo-breach", ("@backend-team", "@platform-lead", "@eng-director")),
        ("latency-slo-breach", ("@backend-team", "@platform-lead", None)),
        ("correctness-slo-breach", ("@qa-team", "@qa-lead", None)),
        ("data-integrity-failure", ("@data-team", "@data-lead", "@eng-director")),
        ("resource-efficiency", ("@ops-team", "@ops-lead", None)),
        ("environment-degraded", ("@ops-team", "@backend-team", None)),
        ("circuit-breaker-opened", ("@backend-team", "@platform-lead", None)),
        ("lock-timeout", ("@backend-team", None, None)),
    ],
)
def test_the_packaged_policies_are_the_matrix(rule_id: str, matrix: tuple[str | None, ...]) -> None:
    """Each row of the specification's Escalation Matrix: at once, after 15 minutes, after an hour."""
    policy = packaged().policy_for(rule_id, severity=Severity.P1, owner="@nobody")
    wanted = [
        (owner, after) for owner, after in zip(matrix, (timedelta(), QUARTER, HOUR), strict=True) if owner
    ]
    assert [(tier.owner, tier.after) for tier in policy.tiers] == wanted


def test_an_unknown_rule_tells_its_owner() -> None:
    """A rule of one's own needs no policy to be heard."""
    policy = packaged().policy_for("my-rule", severity=Severity.P2, owner="@me")
    assert [tier.owner for tier in policy.tiers] == ["@me"]


def faults_in(text: str) -> list[str]:
    """What is wrong with a file, each with its line."""
    faults: list[Fault] = []
    assert read_policies("policies.yaml", text, faults) is None
    return [str(fault) for fault in faults]


def test_all_faults_are_said_at_once_with_their_lines() -> None:
    """Three mistakes, three messages."""
    text = """\
severities:
  P1: {acknowledgement_holds: false, remind_evry: 30m}
policies:
  one:
    - {owner: backend, after: 0s}
    - {owner: "@lead", after: soon}
"""
    found = faults_in(text)
    assert len(found) == 3
    assert found[0].startswith("policies.yaml:2: severities.P1.remind_evry: is no setting here; did you mean")
    assert found[1].startswith("policies.yaml:5: policies.one.0.owner:")
    assert found[2].startswith("policies.yaml:6: policies.one.1.after: must be a length of time")


@pytest.mark.parametrize(
    ("tiers", "fault"),
    [
        pytest.param("[]", "names nobody", id="a chain without a tier"),
        pytest.param("[{owner: '@a', after: 5m}]", "at once", id="a first tier that waits"),
        pytest.param(
            "[{owner: '@a', after: 0s}, {owner: '@b', after: 1h}, {owner: '@c', after: 15m}]",
            "later than the one before",
            id="tiers out of order",
        ),
    ],
)
def test_a_chain_that_makes_no_sense_is_refused(tiers: str, fault: str) -> None:
    """A page that never goes out must not be found out during an outage."""
    [found] = faults_in(f"severities: {{}}\npolicies:\n  one: {tiers}\n")
    assert fault in found
    assert found.startswith("policies.yaml:3: policies.one: ")
