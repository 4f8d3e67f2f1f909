"""How an alert changes its state."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from kokino.alerts.evaluate import Verdict, evaluate
from kokino.alerts.lifecycle import TRANSITIONS, Input, Reaction, advance, react, retire
from kokino.alerts.look import unseen
from kokino.alerts.model import Alert, Phase, fingerprint
from kokino.alerts.observe import Measurements, windows
from kokino.alerts.rule import AlertRule
from kokino.alerts.rulefile import packaged_rule
from kokino.slo.defaults import defaults
from kokino.telemetry.model import Counts

RULE = packaged_rule("availability-slo-breach")
PATIENT = RULE.model_copy(
    update={
        "pending_for": timedelta(minutes=2),
        "resolve": RULE.resolve.model_copy(update={"hold": timedelta(minutes=3)}),
    }
)
T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

_AVAILABILITY = defaults().availability
_NOTHING = Measurements(counts=dict.fromkeys(windows(RULE, _AVAILABILITY), Counts()))
#: Something ran, and nothing holds.
QUIET: Verdict = replace(evaluate(RULE, _AVAILABILITY, _NOTHING, now=T), is_frozen=False)
BREACH = replace(QUIET, fires=True, condition="rate-1h", reason="availability 0.00 % over 1 h is under 99 %")
CLEAR = replace(QUIET, clears=True, clear_reason="recovered: 5 of 5 executions over 5 min succeeded")


def fresh() -> Alert:
    """An alert that nothing happened to."""
    return unseen(RULE, {}, now=T, alert_id="alert-1")


def take(alert: Alert, verdict: Verdict, now: datetime, rule: AlertRule = RULE) -> Reaction:
    """What one look makes of it, with an id of its own for a new episode."""
    return react(rule, alert, verdict, now=now, episode_id=f"episode at {now}")


@pytest.mark.parametrize(("phase", "input"), sorted(set(product(Phase, Input)) - set(TRANSITIONS)))
def test_a_change_that_is_not_in_the_table_is_a_bug(phase: Phase, input: Input) -> None:
    """It raises, so that it is found and not lived with."""
    with pytest.raises(ValueError, match=f"an alert that is {phase} cannot be {input}"):
        advance(phase, input)


def test_a_breach_fires_at_once_where_the_rule_asks_for_no_delay() -> None:
    """The hour in the specification's table is the window, not a wait."""
    taken = take(fresh(), BREACH, T)
    assert (taken.alert.state, taken.alert.firing_at, taken.alert.since) == (Phase.FIRING, T, T)
    assert taken.alert.episode_id is not None
    assert taken.transition is not None
    assert taken.transition.reason == BREACH.reason
    assert taken.alert.measured["reason"] == BREACH.reason


def test_a_second_look_at_the_same_instant_changes_nothing_more() -> None:
    """The same instant and verdict leave the alert as it is."""
    once = take(fresh(), BREACH, T).alert
    again = take(once, BREACH, T)
    assert again.transition is None
    assert again.alert.state is Phase.FIRING
    assert again.alert.episode_id == once.episode_id


def test_a_rule_with_a_delay_is_pending_until_it_has_held() -> None:
    """The delay counts from the first breach; a pause starts it anew."""
    pending = take(fresh(), BREACH, T, PATIENT).alert
    assert (pending.state, pending.pending_at, pending.episode_id) == (Phase.PENDING, T, None)
    assert take(pending, BREACH, T + MINUTE, PATIENT).transition is None
    assert take(pending, BREACH, T + 2 * MINUTE, PATIENT).alert.state is Phase.FIRING
    over = take(pending, QUIET, T + MINUTE, PATIENT)
    assert over.alert.state is Phase.INACTIVE
    assert over.transition is not None
    assert over.transition.reason.startswith("it did not last: ")


def test_it_resolves_when_its_own_condition_holds_and_the_windows_start_anew() -> None:
    """Though the hour still looks bad: what was answered for is not counted again."""
    firing = take(fresh(), BREACH, T).alert
    resolved = take(firing, replace(BREACH, clears=True, clear_reason="recovered"), T + MINUTE)
    assert resolved.alert.state is Phase.RESOLVED
    assert (resolved.alert.resolved_at, resolved.alert.windows_from) == (T + MINUTE, T + MINUTE)
    assert resolved.alert.episode_id == firing.episode_id
    assert resolved.transition is not None
    assert resolved.transition.reason == "recovered"


def test_no_longer_breaching_alone_does_not_resolve() -> None:
    """An hour may forget failures while nothing has succeeded since."""
    firing = take(fresh(), BREACH, T).alert
    assert take(firing, QUIET, T + 60 * MINUTE).transition is None


def test_while_it_fires_the_reason_says_why_it_is_not_over() -> None:
    """Once no condition holds, what is still missing is the recovery."""
    firing = take(fresh(), BREACH, T).alert
    waiting = replace(QUIET, clear_reason="not recovered: 1 of 2 executions over 5 min succeeded")
    assert take(firing, waiting, T + MINUTE).alert.measured["reason"] == waiting.clear_reason


def test_recovery_must_last_without_a_break_where_the_rule_asks_for_it() -> None:
    """A break sets the clock back."""
    firing = take(fresh(), BREACH, T).alert
    clearing = take(firing, CLEAR, T + MINUTE, PATIENT).alert
    assert (clearing.state, clearing.clear_at) == (Phase.FIRING, T + MINUTE)
    broken = take(clearing, QUIET, T + 2 * MINUTE, PATIENT).alert
    assert broken.clear_at is None
    again = take(broken, CLEAR, T + 3 * MINUTE, PATIENT).alert
    assert take(again, CLEAR, T + 5 * MINUTE, PATIENT).transition is None
    assert take(again, CLEAR, T + 6 * MINUTE, PATIENT).alert.state is Phase.RESOLVED


def test_a_second_firing_is_a_new_episode_that_nobody_has_acknowledged() -> None:
    """An old acknowledgement must not keep a new page back."""
    firing = take(fresh(), BREACH, T).alert
    known = replace(
        firing, acknowledged_at=T, acknowledged_by="ana", acknowledgement_ends_at=T + timedelta(minutes=30)
    )
    resolved = take(known, CLEAR, T + MINUTE).alert
    again = take(resolved, BREACH, T + 2 * MINUTE).alert
    assert again.state is Phase.FIRING
    assert again.episode_id != firing.episode_id
    assert (again.acknowledged_at, again.acknowledged_by, again.acknowledgement_ends_at) == (None, None, None)
    assert again.resolved_at is None


def test_a_firing_alert_without_a_rule_is_resolved_with_its_episode() -> None:
    """Nobody looks at it any more, so nobody would ever say that it is over."""
    firing = take(fresh(), BREACH, T).alert
    retired = retire(firing, reason="its rule is gone", now=T + MINUTE)
    assert (retired.alert.state, retired.alert.resolved_at) == (Phase.RESOLVED, T + MINUTE)
    assert retired.transition is not None
    assert retired.transition.episode_id == firing.episode_id
    assert (retired.transition.reason, retired.transition.measured["reason"]) == ("its rule is gone",) * 2


def test_a_pending_alert_without_a_rule_was_nothing() -> None:
    """Nobody was told of it."""
    pending = take(fresh(), BREACH, T, PATIENT).alert
    assert retire(pending, reason="its rule is gone", now=T).alert.state is Phase.INACTIVE


def test_what_is_over_cannot_be_retired() -> None:
    """There is no change from inactive to anything that ends."""
    with pytest.raises(ValueError, match="inactive cannot be cleared"):
        retire(fresh(), reason="its rule is gone", now=T)


def test_a_fingerprint_depends_on_the_rule_and_its_labels_alone() -> None:
    """The order of labels is no difference; a value is."""
    assert fingerprint("r", {"a": "1", "b": "2"}) == fingerprint("r", {"b": "2", "a": "1"})
    assert (
        len({fingerprint("r", {"a": "1"}), fingerprint("r", {"a": "2"}), fingerprint("s", {"a": "1"})}) == 3
    )
