"""What docs/alerting.md says is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from kokino.alerts.conditions import Condition, Resolve
from kokino.alerts.model import Phase
from kokino.alerts.rehearse import rehearse
from kokino.alerts.rule import AlertRule
from kokino.alerts.rulefile import packaged, read_rule
from kokino.errors import Fault
from kokino.slo.defaults import defaults
from kokino.slo.model import SloId

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "alerting.md").read_text(encoding="utf-8")


def kinds(union: Any) -> list[str]:
    """What ``kind`` may be, of models that differ by it."""
    models = get_args(get_args(union)[0])
    return [kind for model in models for kind in get_args(model.model_fields["kind"].annotation)]


def cells(first: str) -> list[str]:
    """The cells of the row of a table that begins with this."""
    [row] = re.findall(rf"^\| `{re.escape(first)}` \|.*$", PAGE, re.MULTILINE)
    return [cell.strip() for cell in row.strip("|").split("|")]


@pytest.mark.parametrize("rule", packaged(), ids=lambda rule: rule.id)
def test_every_shipped_rule_stands_in_the_table(rule: AlertRule) -> None:
    """With its severity and owner."""
    assert cells(rule.id)[2:] == [rule.severity.value, rule.owner]


@pytest.mark.parametrize("id", SloId)
def test_every_service_level_stands_in_the_table(id: SloId) -> None:
    """With its target."""
    assert cells(id.value)[2] == f"{defaults().of(id).target * 100:g} %"


@pytest.mark.parametrize("word", [*Phase, *kinds(Condition)])
def test_every_state_and_condition_is_explained(word: str) -> None:
    """A row for each."""
    assert len(cells(word)) >= 2


def test_every_way_to_be_over_is_explained() -> None:
    """By the word that a file uses."""
    for kind in kinds(Resolve):
        assert f"| `kind: {kind}` |" in PAGE


RULES_ON_THE_PAGE = re.findall(r"```yaml\n(apiVersion.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", RULES_ON_THE_PAGE, ids=range(len(RULES_ON_THE_PAGE)))
def test_a_rule_on_the_page_is_one_and_passes_its_tests(text: str) -> None:
    """It can be copied."""
    faults: list[Fault] = []
    rule = read_rule("on-the-page.yaml", text, faults)
    assert faults == []
    assert rule is not None
    assert [fault for test in rule.tests for fault in rehearse(rule, test, defaults())] == []
