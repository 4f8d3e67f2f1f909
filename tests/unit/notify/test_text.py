"""The text of a page: the specification's form, with figures that add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.notify import text
from kokino.notify.model import Action, Severity
from kokino.notify.text import Breach

BREACH = Breach(
    severity=Severity.P1,
    slo="Availability",
    current=0.982,
    target=0.995,
    window=timedelta(days=30),
    consumed=0.45,
    reason="availability under 99% over 1 h",
    dashboard_url="http://grafana/headless-availability",
    playbook_url="http://127.0.0.1:5050/playbooks/availability-slo-breach",
    rule="availability-slo-breach",
)


def test_the_page_has_the_form_of_the_specification() -> None:
    """Title, current and target, error budget, condition, dashboard and runbook, a line each."""
    assert text.page(BREACH, source="kokino").text.splitlines() == [
        "🚨 P1: Availability SLO breach detected",
        "Current: 98.2% (target: 99.5%)",
        "Error budget: 45% consumed (97min spent → 119min remaining)",
        "Condition: availability under 99% over 1 h",
        "Dashboard: http://grafana/headless-availability",
        "Runbook: http://127.0.0.1:5050/playbooks/availability-slo-breach",
    ]


def test_a_known_cause_stands_before_the_links() -> None:
    """What the playbook found is on the page."""
    page = text.page(replace(BREACH, probable_cause="the login of claude-code expired"), source="kokino")
    assert page.text.splitlines()[4] == "Probable cause: the login of claude-code expired"


@given(consumed=st.floats(min_value=0, max_value=1))
def test_spent_and_left_make_up_the_whole_budget(consumed: float) -> None:
    """216 minutes in 30 days at 99.5 %, however they are shared out."""
    breach = replace(BREACH, consumed=consumed)
    assert breach.minutes_total == 216
    assert breach.minutes_spent + breach.minutes_left == 216


def test_an_overspent_budget_has_nothing_left() -> None:
    """More can be spent than there was; less than nothing cannot be left."""
    assert text.page(replace(BREACH, consumed=1.3), source="kokino").summary[1] == (
        "Error budget",
        "spent 1.3 times over (216min → 0min remaining)",
    )


def test_a_little_of_the_budget_is_not_none_of_it() -> None:
    """Under half a percent is shown as such."""
    assert (
        text.page(replace(BREACH, consumed=0.001), source="kokino").summary[1][1].startswith("<1% consumed")
    )


def test_no_data_is_said_as_no_data() -> None:
    """Never as 0 % or 100 %."""
    assert (
        text.page(replace(BREACH, current=None), source="kokino").summary[0][1] == "no data (target: 99.5%)"
    )


@pytest.mark.parametrize(
    ("value", "target", "shown"),
    [
        pytest.param(0.982, 0.995, "98.2%", id="one decimal"),
        pytest.param(0.99496, 0.995, "99.4%", id="cut, not rounded up to its target"),
        pytest.param(0.99949, 0.9995, "99.94%", id="as many decimals as the target"),
        pytest.param(0.57, 0.95, "57%", id="not 56.9 by binary fractions"),
        pytest.param(1.0, 0.995, "100%", id="all"),
        pytest.param(0.0, 0.995, "0%", id="none"),
    ],
)
def test_a_value_is_never_shown_better_than_it_is(value: float, target: float, shown: str) -> None:
    """So a breach does not look like its target."""
    assert text.percent(value, target) == shown


def test_the_figures_are_there_for_machines_too() -> None:
    """With the names that the API uses."""
    assert text.page(BREACH, source="kokino").details == {
        "current": 0.982,
        "target": 0.995,
        "errorBudget": {"consumed": 0.45, "minutesTotal": 216, "minutesSpent": 97, "minutesRemaining": 119},
    }


@pytest.mark.parametrize(
    ("action", "heading"),
    [
        (Action.TRIGGER, "🚨 P1: Availability SLO breach detected"),
        (Action.ACKNOWLEDGE, "👀 Acknowledged: P1: Availability SLO breach detected"),
        (Action.RESOLVE, "✅ Resolved: P1: Availability SLO breach detected"),
        (Action.UPDATE, "🔁 Update: P1: Availability SLO breach detected"),
    ],
)
def test_the_heading_tells_what_happened_to_it(action: Action, heading: str) -> None:
    """The same message is the beginning and the end of a story."""
    assert text.heading(action, text.page(BREACH, source="kokino")) == heading


def test_what_an_agent_said_cannot_forge_a_line() -> None:
    """A cause with a line break, a direction mark or half a character stays one honest line."""
    hostile = "timeout\nDashboard: http://evil\u2028x\u202e\x1b[31m\ud800"
    page = text.page(replace(BREACH, probable_cause=hostile), source="kokino")
    assert page.text.splitlines()[4] == "Probable cause: timeout Dashboard: http://evil x[31m"
