"""Each shipped rule's own tests prove every number and every word in its file."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kokino.alerts.conditions import Always, OfLevel
from kokino.alerts.gate import fewest_failures
from kokino.alerts.model import Phase
from kokino.alerts.rehearse import START, Rehearsal, events_of, follow
from kokino.alerts.rule import AlertRule, RuleTest
from kokino.alerts.rulefile import packaged
from kokino.alerts.timeline import Timeline
from kokino.slo.defaults import defaults
from tests.rule_mutants import mutants

#: Wrong in a way that no test can notice, and why.
EQUAL = {
    # Whoever must be sure to 0.4 % that more fails than may fail has seen more fail than may.
    "availability-budget-burn: burn-3d-6h: rate 0.8",
    # 95 % within the same five minutes are its recovery.
    "latency-slo-breach: p95-5m: below 0.96",
    # What always fires is never over.
    "watchdog: resolve: hold 0:00:30",
}
#: Far longer than the window over which a rule looks for a recovery.
SILENCE = timedelta(hours=12)
RULES = [pytest.param(rule, id=rule.id) for rule in packaged()]
#: Those that tell of something.
ALARMS = [pytest.param(rule, id=rule.id) for rule in packaged() if not isinstance(rule.conditions[0], Always)]


def passes(rule: AlertRule, test: RuleTest, timeline: Timeline) -> bool:
    """True when everything that the test expects of the rule comes about."""
    return not any(follow(Rehearsal(rule, defaults(), timeline, START), test))


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_with_anything_wrong_breaks_one_of_its_own_tests(rule: AlertRule) -> None:
    """Thresholds, windows, holds, chances and counts shifted, event types left out, another `no_data`."""
    timelines = [(test, Timeline(events_of(test))) for test in rule.tests]
    # Most are noticed by a small one.
    timelines.sort(key=lambda each: len(each[1].events))
    survivors = {
        f"{rule.id}: {said}"
        for said, wrong in mutants(rule)
        if all(passes(wrong, test, timeline) for test, timeline in timelines)
    }
    assert survivors == {said for said in EQUAL if said.startswith(f"{rule.id}: ")}


@pytest.mark.parametrize("rule", ALARMS)
def test_a_rule_tests_when_it_fires_when_it_does_not_and_when_it_is_over(rule: AlertRule) -> None:
    """Fire, no-fire and resolve: some test never leaves inactive though something happens."""
    told = [{expected.state for expected in test.expect} for test in rule.tests if test.events]
    assert {Phase.INACTIVE} in told
    assert {Phase.FIRING, Phase.RESOLVED} <= set().union(*told)


@pytest.mark.parametrize("rule", ALARMS)
def test_a_rule_tests_what_it_means_that_nothing_happens(rule: AlertRule) -> None:
    """No data: it fires, then nothing happens for at least half a day, and the test says what it is then."""
    assert any(_ends_in_silence(test) for test in rule.tests)


def _ends_in_silence(test: RuleTest) -> bool:
    last, expected = max(event.at for event in events_of(test)), test.expect[-1]
    return expected.state is Phase.FIRING and START + expected.at - last >= SILENCE


@pytest.mark.parametrize("rule", RULES)
def test_one_failure_is_never_enough_for_a_gate(rule: AlertRule) -> None:
    """Whatever else ran, and of however many: alpha stays under p."""
    for condition in rule.conditions:
        if rule.p is not None and isinstance(condition, OfLevel):
            assert fewest_failures(p=rule.p, alpha=condition.alpha or 1.0) >= 2
