"""Headless takes over where five criteria are met, and where there is enough to say so."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from kokino.shadow.decision import Answer, Decision, decide
from kokino.shadow.figures import figures
from kokino.shadow.model import Comparison, Run, Verdict
from kokino.telemetry.model import Counts
from tests.unit.shadow.given import NOW, comparison, took

LONG_AGO = NOW - timedelta(days=30)
SOUND = Counts(good=1000)


def given(
    matches: int = 400,
    mismatches: int = 0,
    *,
    failures: int = 0,
    headless_ms: int = 1000,
    checked: Counts = SOUND,
    first_at: datetime | None = LONG_AGO,
) -> Decision:
    """The decision on so many comparisons; `failures` are mismatches in which headless failed."""
    failed = Run(state="failed", kind="crash")
    found: list[Comparison] = [
        *[comparison(tmux=took(2000), headless=took(headless_ms))] * matches,
        *[comparison(Verdict.MISMATCH)] * mismatches,
        *[comparison(Verdict.MISMATCH, headless=failed)] * failures,
    ]
    return decide(figures(found), checked, first_at, NOW)


def met(decision: Decision) -> dict[str, bool | None]:
    """Each criterion's answer."""
    return {one.id: one.met for one in decision.criteria}


def test_all_five_met_is_ready() -> None:
    """Each with its value beside its target."""
    found = given(398, 2)
    assert found.answer is Answer.READY
    assert set(met(found).values()) == {True}
    assert {one.id: one.value for one in found.criteria} == {
        "observed": 30,
        "headless-success": 1.0,
        "match": 0.995,
        "latency": 0.5,
        "corruption": 0.0,
    }


@pytest.mark.parametrize(
    ("found", "criterion", "words"),
    [
        pytest.param(given(380, 21), "match", "94.76 % of 401", id="94.8 % match"),
        pytest.param(given(398, failures=3), "headless-success", "99.25 %", id="3 of 401 failed"),
        pytest.param(given(headless_ms=2000), "latency", "p95 is 2.0 s headless and 2.0 s", id="as slow"),
        pytest.param(given(checked=Counts(good=999, bad=1)), "corruption", "1 of 1,000", id="0.1 % faulty"),
    ],
)
def test_one_that_is_missed_is_not_ready(found: Decision, criterion: str, words: str) -> None:
    """The summary says which."""
    assert found.answer is Answer.NOT_READY
    assert [id for id, is_met in met(found).items() if is_met is False] == [criterion]
    assert words in found.summary


@pytest.mark.parametrize(
    ("found", "criteria"),
    [
        pytest.param(given(first_at=NOW - timedelta(days=29)), ["observed"], id="29 days"),
        pytest.param(given(199), ["headless-success", "match", "latency"], id="199 comparisons"),
        pytest.param(given(checked=Counts()), ["corruption"], id="nothing was checked"),
        pytest.param(
            given(0, checked=Counts(), first_at=None),
            ["observed", "headless-success", "match", "latency", "corruption"],
            id="nothing at all",
        ),
    ],
)
def test_too_little_is_said_as_too_little(found: Decision, criteria: list[str]) -> None:
    """Neither ready nor not."""
    assert found.answer is Answer.NOT_ENOUGH_DATA
    assert [id for id, is_met in met(found).items() if is_met is None] == criteria


def test_what_no_later_success_could_mend_is_missed_already() -> None:
    """Two failures of five are more than 0.5 % of 200; one is not."""
    assert met(given(3, failures=2))["headless-success"] is False
    assert met(given(4, failures=1))["headless-success"] is None
