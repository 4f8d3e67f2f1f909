"""Error budgets and burn rates, against figures that can be checked by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kokino.slo.budget import budget, burn_rate, burn_rate_of
from kokino.slo.defaults import defaults
from kokino.telemetry.model import Counts

AVAILABILITY = defaults().availability
DAYS_30 = timedelta(days=30)


@pytest.mark.parametrize(
    ("good", "bad", "consumed", "remaining", "minutes_left"),
    [
        # Nothing failed: the budget is whole, 30 days times 0.5 % are 216 minutes.
        (1000, 0, 0.0, 1.0, 216.0),
        # The specification's example: 45 % spent, 55 % left.
        (99_775, 225, 0.45, 0.55, 118.8),
        # Just all of it.
        (995, 5, 1.0, 0.0, 0.0),
        # More than there was: the overspending is told, what is left does not go below nothing.
        (98, 2, 4.0, 0.0, 0.0),
    ],
)
def test_the_error_budget_is_what_may_fail(
    good: int, bad: int, consumed: float, remaining: float, minutes_left: float
) -> None:
    """Spent is bad over valid over 0.5 %, exactly."""
    found = budget(Counts(good=good, bad=bad), AVAILABILITY)
    assert (found.consumed, found.remaining) == (consumed, remaining)
    assert (found.minutes_total, found.minutes_remaining) == (216.0, minutes_left)


def test_no_executions_spend_nothing_and_prove_nothing() -> None:
    """The size of the budget is known, what is left of it is not."""
    found = budget(Counts(), AVAILABILITY)
    assert found.minutes_total == 216.0
    assert (found.consumed, found.remaining, found.minutes_remaining) == (None, None, None)


@pytest.mark.parametrize(
    ("good", "bad", "rate"), [(64, 36, 72.0), (928, 72, 14.4), (97, 3, 6.0), (995, 5, 1.0), (7, 0, 0.0)]
)
def test_burn_rates_are_exact_at_the_thresholds_that_page(good: int, bad: int, rate: float) -> None:
    """36 failures in 100 burn 72 times too fast, not 71.99999 times."""
    assert burn_rate(Counts(good=good, bad=bad), 0.995) == rate


def test_the_burn_rate_of_a_tenth_in_an_hour_is_72() -> None:
    """A tenth of 30 days is 72 hours' worth; and the workbook's 2 % in 1 h and 5 % in 6 h are 14.4 and 6."""
    assert burn_rate_of(0.10, timedelta(hours=1), DAYS_30) == 72.0
    assert burn_rate_of(0.02, timedelta(hours=1), DAYS_30) == 14.4
    assert burn_rate_of(0.05, timedelta(hours=6), DAYS_30) == 6.0


def test_without_executions_nothing_burns() -> None:
    """No data is no number."""
    assert burn_rate(Counts(), 0.995) is None


def test_a_promise_of_all_has_no_budget_to_lose() -> None:
    """One fault spends all of it at once."""
    assert budget(Counts(good=9, bad=1), defaults().integrity).remaining == 0.0
    assert budget(Counts(good=9), defaults().integrity).remaining == 1.0
