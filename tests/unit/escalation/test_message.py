"""What people are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from kokino.alerts.measured import Measured
from kokino.escalation.message import Page, build, follow_up, named
from kokino.notify.model import Message, Severity
from tests.fixtures.episodes import MEASURED

PAGE = Page(
    severity=Severity.P1,
    title="Availability SLO Breach",
    owner="@backend-team",
    labels={"agent": "reviewer"},
    rule_id="availability-slo-breach",
    playbook="availability-slo-breach",
    measured=MEASURED,
    incident_id="INC-7",
    alert_id="alert-1",
    probable_cause=None,
    public_url="https://kokino.example/",
    source="test",
)


def test_a_page_has_the_figures_and_the_links() -> None:
    """Severity, current and target, the error budget in minutes, the incident and the playbook."""
    text = build(PAGE).text
    assert "P1: Availability SLO breach detected" in text
    assert "Current: 98.2% (target: 99.5%)" in text
    assert "Error budget: 45% consumed (97min spent → 119min remaining)" in text
    assert "Dashboard: https://kokino.example/incidents/INC-7" in text
    assert "Runbook: https://kokino.example/playbooks/availability-slo-breach" in text
    assert text.splitlines()[4] == "Incident: INC-7"


def test_the_probable_cause_is_told_once_it_is_known() -> None:
    """Whoever is woken later need not look for it."""
    page = replace(PAGE, probable_cause="the login of claude-code has expired")
    assert "Probable cause: the login of claude-code has expired" in build(page).text


def test_a_rule_without_an_objective_is_told_in_its_own_words() -> None:
    """An opened breaker has no error budget to speak of."""
    page = replace(
        PAGE,
        severity=Severity.P2,
        title="Circuit Breaker Opened (agent reviewer)",
        measured={"reason": "5 failures in a row"},
        incident_id=None,
    )
    message = build(page, ("Escalated", "to @platform-lead"))
    assert message.headline == "P2: Circuit Breaker Opened (agent reviewer)"
    assert message.summary == (("Condition", "5 failures in a row"), ("Escalated", "to @platform-lead"))
    assert message.links[0].url == "https://kokino.example/alerts/alert-1"


def test_a_follow_up_leaves_old_figures_out() -> None:
    """Who reads that it is over is not told that it is under its target."""
    message = follow_up(PAGE, ("Resolved", "after 23 minutes"))
    assert message.text.splitlines()[:3] == [
        "P1: Availability SLO Breach",
        "Resolved: after 23 minutes",
        "Incident: INC-7",
    ]
    assert message.summary == (("Resolved", "after 23 minutes"), ("Incident", "INC-7"))
    assert "98.2" not in message.text


def test_a_page_of_an_slo_names_whose_it_is() -> None:
    """Where its rule has an alert for each CLI type, they would all read alike."""
    page = replace(PAGE, labels={"cli_type": "codex", "slo": "availability"})
    assert build(page).headline == "P1: Availability SLO breach detected (cli type codex)"
    assert build(replace(page, labels={"slo": "availability"})).title == "Availability SLO breach detected"


@pytest.mark.parametrize(
    ("titles", "said"),
    [
        (["Breaker (agent a)"], "Breaker (agent a)"),
        (["Breaker (agent a)", "Breaker (agent b)"], "Breaker (agent a); Breaker (agent b)"),
        (list("abcdefghijkl"), "a; b; c; d; e; f; g; h; i; j; and 2 more"),
        (["x" * 150] * 40, "; ".join(["x" * 150] * 2) + "; and 38 more"),
        (["x" * 5000, "y"], "x" * 399 + "…; and 1 more"),
    ],
    ids=["one", "two", "more than are named", "long ones", "one that is far too long"],
)
def test_many_that_are_told_of_together_are_named_in_one_short_line(titles: list[str], said: str) -> None:
    """A channel that cuts a longer one would cut off how many there are."""
    assert named(titles) == said


@pytest.mark.parametrize("tell", [build, follow_up])
@pytest.mark.parametrize("link", [None, "http://prometheus:9090/graph"])
def test_a_message_links_the_source_of_an_alert_that_has_one(
    tell: Callable[..., Message], link: str | None
) -> None:
    """What a rule of ours has measured names none: every field of it is there all the same."""
    measured = Measured(reason="down", slo="availability", target=0.995, budget_days=30.0, link=link)
    shown = tell(replace(PAGE, measured=measured.to_document()))
    assert all(each.url for each in shown.links)
    of_rule = tell(replace(PAGE, measured=replace(measured, slo=None).to_document()))
    assert [each.text for each in of_rule.links] == ["Dashboard", "Runbook", *(["Source"] if link else [])]


def test_hostile_labels_forge_no_line() -> None:
    """A title that an agent's name is part of stays on its line."""
    page = replace(PAGE, title="Breaker (agent x\nResolved: yes)", measured={"reason": "a\nb"})
    assert "\nResolved" not in build(page).text
