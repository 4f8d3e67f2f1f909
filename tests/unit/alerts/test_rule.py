"""The shipped rules, their own tests, and what is said about a wrong file."""

from __future__ import annotations

import re
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from kokino.alerts.rehearse import rehearse
from kokino.alerts.rule import AlertRule, RuleTest
from kokino.alerts.rulefile import load_rules, packaged, packaged_rule, read_rule
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


def test_a_rule_that_breaks_its_test_is_told_with_what_happened() -> None:
    """The sentence names the test, the instant, both states and the last reason."""
    rule = packaged_rule("availability-slo-breach")
    too_early = rule.tests[0].expect[1].model_copy(update={"at": timedelta(0)})
    test = rule.tests[0].model_copy(update={"expect": (too_early,)})
    [first, second, third] = rehearse(rule, test, defaults())
    assert first.startswith("an outage pages")
    assert "the alert is inactive, not firing; it never changed" in first
    assert "it fired by None, not by rate-1h" in second
    assert "the conditions that hold are none, not rate-1h, budget-1h, burn-1h-5m, burn-6h-30m" in third


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
            f"rule.yaml:{at['severity: P0']}: severity: must be 'P1', 'P2', 'P3' or 'none'",
            f"rule.yaml:{at['bellow']}: conditions.0.bellow: is no setting here; did you mean 'below'?",
            f"rule.yaml:{at['id: rate-1h']}: conditions.0.below: is missing",
            f"rule.yaml:{at['long: six']}: conditions.3.long: {unknown_length}",
        ]
    )


def test_a_gated_condition_must_say_how_sure_it_is() -> None:
    """No alpha, no gate: that is not guessed."""
    [fault] = said(
        TEXT.replace(
            "    window: 1h\n    alpha: 0.0001\n  # The specification: more", "    window: 1h\n  # more"
        )
    )
    assert fault.startswith(f"rule.yaml:{line('id: rate-1h')}: conditions.0.alpha: is missing")


def test_conditions_need_names_of_their_own_and_windows_in_order() -> None:
    """Two of one name cannot be told apart; a short window that is the longer one confirms nothing."""
    wrong = TEXT.replace("id: budget-1h", "id: rate-1h").replace("short: 5m", "short: 2h")
    faults = said(re.sub(r", holding: \[.*\]", "", wrong))
    assert [fault.partition(": ")[2] for fault in faults] == [
        "conditions.0.id: 'rate-1h' stands here more than once",
        "conditions.1.id: 'rate-1h' stands here more than once",
        "conditions.2.short: must be shorter than the long window",
    ]


def test_a_test_cannot_expect_a_condition_that_is_not_there() -> None:
    """A name with a typing error would otherwise never be met."""
    known = "is no condition; known: budget-1h, burn-1h-5m, burn-6h-30m, rate-1h"
    wrong = TEXT.replace("condition: burn-6h-30m}", "condition: burn-6h}", 1)
    wrong = wrong.replace("holding: [rate-1h, budget-1h]", "holding: [rate-2h, budget-1h]")
    [first, second] = said(wrong)
    assert first.endswith(f".condition: 'burn-6h' {known}")
    assert second.endswith(f".holding: 'rate-2h' {known}")


def test_what_holds_is_known_of_a_firing_alert_alone() -> None:
    """The others keep no figures, so that such an expectation would never be met."""
    wrong = TEXT.replace("{at: 61s, state: inactive}", "{at: 61s, state: inactive, holding: []}")
    [fault] = said(wrong)
    assert fault.endswith("holding: is kept of an alert that is firing: expect that too")


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


def test_rules_that_keep_each_other_quiet_in_a_ring_are_a_fault(tmp_path: Path) -> None:
    """When all of them fire, nobody would hear of any."""
    folder = tmp_path / "alerts"
    folder.mkdir()
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        text = TEXT.replace("id: availability-slo-breach", f"id: {name}", 1)
        head, tail = text.split("inhibits:\n")
        _, rest = tail.split("\n\n", 1)
        (folder / f"{name}.yaml").write_text(f"{head}inhibits:\n  - rule: {other}\n\n{rest}")
    faults: list[Fault] = []
    load_rules(tmp_path, faults)
    assert [fault.message for fault in faults] == [
        f"{other} keeps this rule quiet in turn, and nobody would hear of either" for other in ("b", "c", "a")
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        pytest.param(
            "kind: rate\n    below",
            "kind: nonsense\n    below",
            "conditions.0.kind: must be 'rate', 'budget', 'burn', 'mean', 'count', 'level', 'timer', "
            "'received' or 'always', not 'nonsense'",
            id="an unknown kind",
        ),
        pytest.param("kind: rate\n    below", "below", "conditions.0.kind: is missing", id="no kind at all"),
        pytest.param(
            "labels:\n  slo: availability",
            "labels: {team-a: x}",
            "labels.team-a: is no label of Prometheus: letters, digits and '_', no digit first and no two "
            "'_' either",
            id="a label with a hyphen",
        ),
        pytest.param(
            "labels:\n  slo: availability",
            "labels: {1st: x}",
            "labels.1st: is no label of Prometheus: letters, digits and '_', no digit first and no two "
            "'_' either",
            id="a label that begins with a digit",
        ),
        pytest.param(
            "labels:\n  slo: availability",
            "labels: {severity: x}",
            "labels.severity: is given to every alert from what its rule says elsewhere",
            id="a label that there is already",
        ),
        pytest.param(
            "labels:\n  slo: availability",
            "labels: {cli_type: x}\nby: [cli_type]",
            "labels.cli_type: is what the rule has alerts by",
            id="a label that tells alerts apart",
        ),
    ],
)
def test_a_wrong_word_is_told_in_words(right: str, wrong: str, fault: str) -> None:
    """With what is known, at its own line."""
    text = TEXT.replace(right, wrong, 1)
    assert text != TEXT
    found = [one.partition(": ")[2] for one in said(text)]
    assert fault in found


def test_a_fault_of_a_whole_list_stands_at_its_key() -> None:
    """Its first entry, a line below, may be right."""
    text = f"{TEXT[: TEXT.index('inhibits:')]}inhibits:\n  rule: x\n\nby:\n  - agent\n  - agent\n"
    assert f"rule.yaml:{line('inhibits:', text)}: inhibits: must be a list" in said(text)
    [twice] = said(text.replace("inhibits:\n  rule: x\n", ""))[:1]
    assert twice == f"rule.yaml:{line('by:', text) - 2}: by: says one of them twice"


def test_a_happening_that_is_no_mapping_is_a_fault() -> None:
    """It is told like any other; nothing is assumed of what it is."""
    head = TEXT[: TEXT.index("tests:")]
    text = f"{head}tests:\n  - name: a\n    events: [3]\n    expect: [{{at: 0m, state: firing}}]\n"
    told = "must hold keys and values, written as key: value"
    assert said(text) == [f"rule.yaml:{line('events: [3]', text)}: tests.0.events.0: {told}"]


def test_ids_that_metrics_do_not_tell_apart_are_a_fault(tmp_path: Path) -> None:
    """Each would read what Prometheus records for the other."""
    folder = tmp_path / "alerts"
    folder.mkdir()
    for name in ("one-rule", "one_rule"):
        text = TEXT.replace("id: availability-slo-breach", f"id: {name}", 1)
        (folder / f"{name}.yaml").write_text(text)
    faults: list[Fault] = []
    load_rules(tmp_path, faults)
    [fault] = faults
    assert (fault.file, fault.field) == (str(folder / "one_rule.yaml"), "id")
    assert "differs from 'one-rule' only in '.', '-' or '_'" in fault.message


def test_a_rule_file_with_another_ending_is_not_ignored_in_silence(tmp_path: Path) -> None:
    """Whoever wrote it waits for its alert."""
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "mine.yml").write_text(TEXT)
    (tmp_path / "alerts" / "README.md").write_text("Ours.")
    faults: list[Fault] = []
    load_rules(tmp_path, faults)
    assert [fault.message for fault in faults] == ["must end in .yaml, or nobody reads it"]
