"""Verdicts on what was counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kokino.alerts.evaluate import Verdict, evaluate
from kokino.alerts.measured import with_budget
from kokino.alerts.observe import Measurements, View
from kokino.alerts.rule import NoData
from kokino.alerts.rulefile import packaged_rule
from kokino.alerts.words import percent
from kokino.slo.defaults import defaults
from kokino.slo.model import SloId
from kokino.telemetry.model import Counts, Memory

RULE = packaged_rule("availability-slo-breach")
T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
VIEW = View(SloId.AVAILABILITY)
NOTHING = Counts()


def judged(
    hour: Counts = NOTHING,
    *,
    five: Counts = NOTHING,
    six_hours: Counts | None = None,
    half: Counts = NOTHING,
    probes: Counts = NOTHING,
    no_data: NoData = NoData.FREEZE,
) -> Verdict:
    """The verdict on these counts; longer windows hold what the hour holds unless said otherwise."""
    by_window = {
        timedelta(minutes=5): five,
        timedelta(minutes=30): half,
        timedelta(hours=1): hour,
        timedelta(hours=6): six_hours or hour,
    }
    measurements = Measurements(
        counts={(VIEW, window): counted for window, counted in by_window.items()}, probes=probes
    )
    rule = RULE.model_copy(update={"no_data": no_data})
    return evaluate(rule, defaults().availability, measurements, now=T)


def counts(bad: int, total: int) -> Counts:
    """So many bad ones of so many."""
    return Counts(good=total - bad, bad=bad)


@pytest.mark.parametrize(
    ("hour", "fires", "why"),
    [
        (counts(0, 500), False, "nothing failed"),
        (counts(1, 1), False, "one failure never pages"),
        (counts(2, 2), True, "two of two are no chance"),
        (counts(2, 5), False, "two of five happen to a fleet that keeps its SLO"),
        (counts(10, 1_000), False, "exactly 99 % is not under 99 %"),
        (counts(30, 2_000), True, "98.5 %, and far too many for chance"),
        (counts(18, 1_000), True, "the specification's 98.2 %, of a thousand"),
        (counts(9, 500), False, "of 500 the same comes by chance once in 900 such hours"),
    ],
)
def test_the_rate_over_an_hour_pages_on_evidence(hour: Counts, fires: bool, why: str) -> None:
    """Under 99 %, and improbable under 99.5 %."""
    assert judged(hour).fires is fires, why


def test_the_condition_that_decided_and_all_that_hold_are_named() -> None:
    """A total outage breaks every condition; the first of the file is told."""
    outage = counts(5, 5)
    found = judged(outage, five=outage, half=outage)
    assert found.condition == "rate-1h"
    assert found.measured.holding == ["rate-1h", "budget-1h", "burn-1h-5m", "burn-6h-30m"]


def test_a_burn_tier_needs_both_of_its_windows() -> None:
    """What is over is not paged for: the short window must burn too."""
    before, now = counts(20, 500), counts(3, 60)
    assert judged(counts(1, 200), six_hours=before, half=now).condition == "burn-6h-30m"
    assert not judged(counts(1, 200), six_hours=before, half=counts(0, 60)).fires


def test_a_tenth_of_the_budget_in_an_hour_is_a_burn_rate_of_72() -> None:
    """36 % failures over the hour: exactly enough for the second condition, 35 % are not."""
    assert "budget-1h" in judged(counts(36, 100)).measured.holding
    assert "budget-1h" not in judged(counts(35, 100)).measured.holding


def test_the_reason_tells_the_figures_that_decided() -> None:
    """It can be checked by hand."""
    assert judged(counts(2, 2)).reason == (
        "availability 0.00 % over 1 h is under 99 % (2 of 2 executions failed); "
        "if the SLO were kept, chance would do that with 0.0025 %"
    )


@pytest.mark.parametrize(
    ("share", "shown"), [(0.98999, "98.99 %"), (0.57, "57.00 %"), (0.982, "98.20 %"), (1.0, "100.00 %")]
)
def test_a_share_under_its_limit_never_looks_equal_to_it(share: float, shown: str) -> None:
    """Cut and not rounded, yet 0.57 is 57 %."""
    assert percent(share) == shown


def test_what_the_gate_holds_back_is_told_with_its_chance() -> None:
    """Why it did not fire is an answer too."""
    found = judged(counts(1, 3))
    assert not found.fires
    assert found.measured.chance == pytest.approx(1 - 0.995**3)
    assert "chance does that with 1.5 % if the SLO is kept, and it pages at 0.01 %" in found.reason


def test_what_was_measured_carries_all_that_a_page_says() -> None:
    """Current, target, budget spent and left in minutes, counts, burn rates: all plain values."""
    measured = judged(counts(9, 500)).measured
    document = with_budget(measured, defaults().availability, counts(18, 8_000)).to_document()
    assert {
        key: document[key] for key in ("current", "target", "good", "bad", "total", "window_seconds")
    } == {
        "current": 0.982,
        "target": 0.995,
        "good": 491,
        "bad": 9,
        "total": 500,
        "window_seconds": 3600,
    }
    assert document["budget_consumed"] == 0.45
    assert document["budget_minutes"] == 216
    assert document["budget_minutes_spent"] == pytest.approx(97.2)
    assert document["budget_minutes_left"] == pytest.approx(118.8)
    assert document["burn_long"] == 3.6


@pytest.mark.parametrize(
    ("five", "probes", "clears", "why"),
    [
        (counts(0, 3), NOTHING, True, "three successes and no failure"),
        (counts(0, 2), NOTHING, False, "two successes are too few"),
        (counts(1, 100), NOTHING, True, "exactly 99 %"),
        (counts(1, 99), NOTHING, False, "under 99 %"),
        (NOTHING, counts(0, 3), True, "three good probes where nobody runs anything"),
        (NOTHING, counts(1, 4), False, "a probe failed"),
        (counts(0, 1), counts(0, 2), True, "an execution and two probes"),
        (counts(1, 2), counts(0, 50), False, "a user's failure outweighs good probes"),
        (counts(0, 3), counts(5, 5), True, "where users succeed, probes are not asked"),
        (NOTHING, NOTHING, False, "silence proves nothing"),
    ],
)
def test_it_clears_by_successes_only(five: Counts, probes: Counts, clears: bool, why: str) -> None:
    """At least 99 % over five minutes, with at least three successes."""
    assert judged(five=five, probes=probes).clears is clears, why


@pytest.mark.parametrize(
    ("no_data", "fires", "clears"),
    [(NoData.FREEZE, False, False), (NoData.ALERT, True, False), (NoData.OK, False, True)],
)
def test_silence_means_what_the_rule_says(no_data: NoData, fires: bool, clears: bool) -> None:
    """Frozen, a breach or health."""
    found = judged(no_data=no_data)
    assert (found.fires, found.clears) == (fires, clears)
    assert found.reason.startswith("no executions over 1 h: ")


@pytest.mark.parametrize(
    ("no_data", "fires", "clears"),
    [(NoData.FREEZE, False, False), (NoData.ALERT, True, False), (NoData.OK, False, True)],
)
def test_silence_means_the_same_to_a_mean(no_data: NoData, fires: bool, clears: bool) -> None:
    """A rule on what executions take has no executions to take it of."""
    rule = packaged_rule("resource-efficiency").model_copy(update={"no_data": no_data})
    nothing = {timedelta(hours=1): Memory(), timedelta(minutes=10): Memory()}
    found = evaluate(rule, defaults().resources, Measurements(memory=nothing), now=T)
    assert (found.fires, found.clears) == (fires, clears)
    assert found.reason.startswith("no executions over 1 h: ")
