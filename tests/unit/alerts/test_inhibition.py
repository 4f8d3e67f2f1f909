"""What keeps a symptom quiet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from kokino.alerts.inhibition import inhibition
from kokino.alerts.model import Alert, Phase, fingerprint
from kokino.alerts.rule import Inhibits

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Rule:
    """A rule, as far as it keeps others quiet."""

    inhibits: tuple[Inhibits, ...] = ()


RULES = {
    "outage": Rule((Inhibits(rule="breaker", linger=15 * MINUTE),)),
    "environment": Rule((Inhibits(rule="breaker", equal=("cli_type",)),)),
    "breaker": Rule(),
}


def alert(rule_id: str, *, state: Phase = Phase.FIRING, at: datetime = T, **labels: str) -> Alert:
    """One that came to its state at an instant."""
    return Alert(
        alert_id=f"{rule_id} {labels}",
        rule_id=rule_id,
        fingerprint=fingerprint(rule_id, labels),
        labels=labels,
        state=state,
        since=at,
        firing_at=T,
        resolved_at=at if state is Phase.RESOLVED else None,
    )


BREAKER = alert("breaker", agent="a", cli_type="gemini")
OVER = alert("outage", state=Phase.RESOLVED, at=T + 5 * MINUTE)


@pytest.mark.parametrize(
    ("other", "minutes", "is_quiet", "why"),
    [
        (alert("outage"), 0, True, "its cause fires"),
        (alert("outage", state=Phase.PENDING), 0, False, "its cause does not fire yet"),
        (alert("environment", cli_type="gemini"), 0, True, "the same CLI type is unwell"),
        (alert("environment", cli_type="codex"), 0, False, "another one is"),
        (OVER, 19, True, "its cause was resolved a moment ago"),
        (OVER, 20, False, "long enough after that it is told of"),
        (
            replace(OVER, state=Phase.PENDING),
            19,
            True,
            "it is about to fire again",
        ),
        (BREAKER, 0, False, "an alert keeps itself no secret"),
    ],
)
def test_a_symptom_is_quiet_while_its_cause_fires_and_a_while_after(
    other: Alert, minutes: int, is_quiet: bool, why: str
) -> None:
    """By the rule that says so, and by the labels that it asks for."""
    found = inhibition(BREAKER, [other], RULES, now=T + minutes * MINUTE)
    assert (found is not None) is is_quiet, why


def test_what_begins_after_the_cause_was_resolved_is_told_of_at_once() -> None:
    """It is no leftover."""
    later = replace(BREAKER, firing_at=T + 6 * MINUTE)
    assert inhibition(later, [OVER], RULES, now=T + 6 * MINUTE) is None


def test_a_cause_that_fires_goes_before_one_that_did() -> None:
    """Its end is not known, so that nobody counts on an earlier one."""
    firing = alert("environment", cli_type="gemini")
    found = inhibition(BREAKER, [OVER, firing], RULES, now=T + 6 * MINUTE)
    assert found is not None
    assert (found.by, found.ends_at) == (firing, None)
