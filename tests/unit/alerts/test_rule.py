"""The shipped rules, their own tests, and what is said about a wrong file."""

from __future__ import annotations

from datetime import timedelta
from importlib.resources import files

import pytest

from kokino.alerts.rehearse import rehearse
from kokino.alerts.rule import AlertRule, RuleTest, Severity
from kokino.alerts.rulefile import packaged, packaged_rule, read_rule
from kokino.errors import Fault
from kokino.slo.defaults import defaults

TEXT = (files("kokino.alerts") / "rules" / "availability-slo-breach.yaml").read_text(encoding="utf-8")


def said(text: str) -> list[str]:
    """All faults of a rule file, as a person reads them."""
    faults: list[Fault] = []
    assert read_rule("rule.yaml", text, faults) is None
    return [str(fault) for fault in faults]


def line(of: str, text: str = TEXT) -> int:
    """The line that first holds this."""
    return text[: text.index(of)].count("\n") + 1


@pytest.mark.parametrize(
    ("rule", "test"),
    [pytest.param(rule, test, id=f"{rule.id}: {test.name}") for rule in packaged() for test in rule.tests],
)
def test_every_shipped_rule_passes_its_own_tests(rule: AlertRule, test: RuleTest) -> None:
    """The file proves itself, in virtual time."""
    assert rehearse(rule, test, defaults()) == []


@pytest.mark.parametrize(
    "rule",
    [rule for rule in packaged() if rule.severity is not Severity.NONE],
    ids=lambda rule: rule.id,
)
def test_every_shipped_rule_tests_that_it_fires_and_that_it_resolves(rule: AlertRule) -> None:
    """A rule whose tests never page, or never end, proves nothing."""
    states = {expected.state for test in rule.tests for expected in test.expect}
    assert {"inactive", "firing", "resolved"} <= states


def test_a_rule_that_breaks_its_test_is_told_with_what_happened() -> None:
    """The sentence names the test, the instant, both states and the last reason."""
    rule = packaged_rule("availability-slo-breach")
    too_early = rule.tests[0].expect[1].model_copy(update={"at": timedelta(0)})
    test = rule.tests[0].model_copy(update={"expect": (too_early,)})
    [first, second] = rehearse(rule, test, defaults())
    assert first.startswith("an outage pages")
    assert "the alert is inactive, not firing; it never changed" in first
    assert "it fired by None, not by rate-1h" in second


def test_the_rule_says_what_the_design_says() -> None:
    """Who is paged, where, how grave, by which conditions."""
    rule = packaged_rule("availability-slo-breach")
    assert (rule.id, rule.severity, rule.owner, rule.channel) == (
        "availability-slo-breach",
        "P1",
        "@backend-team",
        "#headless-alerts",
    )
    assert [condition.id for condition in rule.conditions] == [
        "rate-1h",
        "budget-1h",
        "burn-1h-5m",
        "burn-6h-30m",
    ]
    assert rule.p == 0.005


def test_all_faults_are_told_at_once_with_their_lines() -> None:
    """A wrong word, a wrong length, a missing value and a wrong severity: four messages."""
    text = TEXT.replace("severity: P1", "severity: P0").replace("below: 0.99", "bellow: 0.99")
    text = text.replace("long: 6h", "long: six hours")
    at = {word: line(word, text) for word in ("severity: P0", "bellow", "id: rate-1h", "long: six")}
    unknown_length = 'must be a length of time such as "30s", "5m" or "1h"'
    assert sorted(said(text)) == sorted(
        [
            f"rule.yaml:{at['severity: P0']}: severity: Input should be 'P1', 'P2', 'P3' or 'none'",
            f"rule.yaml:{at['bellow']}: conditions.0.bellow: is no setting here; did you mean 'below'?",
            f"rule.yaml:{at['id: rate-1h']}: conditions.0.below: is missing",
            f"rule.yaml:{at['long: six']}: conditions.3.long: {unknown_length}",
        ]
    )


def test_a_gated_condition_must_say_how_sure_it_is() -> None:
    """No alpha, no gate: that is not guessed."""
    [fault] = said(
        TEXT.replace(
            "    window: 1h\n    alpha: 0.0002\n  # The specification: more", "    window: 1h\n  # more"
        )
    )
    assert fault.startswith(f"rule.yaml:{line('id: rate-1h')}: conditions.0.alpha: is missing")


def test_conditions_need_names_of_their_own_and_windows_in_order() -> None:
    """Two of one name cannot be told apart; a short window that is the longer one confirms nothing."""
    faults = said(TEXT.replace("id: budget-1h", "id: rate-1h").replace("short: 5m", "short: 2h"))
    assert [fault.partition(": ")[2] for fault in faults] == [
        "conditions.0.id: 'rate-1h' stands here more than once",
        "conditions.1.id: 'rate-1h' stands here more than once",
        "conditions.2.short: must be shorter than the long window",
    ]


def test_a_test_cannot_expect_a_condition_that_is_not_there() -> None:
    """A name with a typing error would otherwise never be met."""
    [fault] = said(TEXT.replace("state: firing, condition: burn-6h-30m", "state: firing, condition: burn-6h"))
    assert "'burn-6h' is no condition; known: budget-1h, burn-1h-5m, burn-6h-30m, rate-1h" in fault


def test_the_ungated_form_of_the_specification_can_be_switched_on() -> None:
    """`gate: none` pages at the first failure under 99 %."""
    gated = packaged_rule("availability-slo-breach")
    faults: list[Fault] = []
    rule = read_rule("rule.yaml", TEXT.replace("gate:\n  kind: binomial\n  p: 0.005", "gate: none"), faults)
    assert rule is not None
    alone = RuleTest.model_validate(
        {
            "name": "alone",
            "events": [{"at": "0m", "outcome": "bad"}],
            "expect": [{"at": "0m", "state": "firing"}],
        }
    )
    assert rehearse(rule, alone, defaults()) == []
    assert rehearse(gated, alone, defaults()) != []
