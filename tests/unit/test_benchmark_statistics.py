"""Medians, percentiles and intervals of the benchmarks."""

from __future__ import annotations

import pytest

from benchmarks.statistics import Interval, bootstrap, median, p95, quantile


@pytest.mark.parametrize(
    ("values", "q", "expected"),
    [
        pytest.param([3.0, 1.0, 2.0], 0.5, 2.0, id="the middle one, in any order"),
        pytest.param([4.0, 1.0, 3.0, 2.0], 0.5, 2.0, id="of an even number the lower of the two"),
        pytest.param([7.0], 0.95, 7.0, id="one value is every quantile of itself"),
        pytest.param(
            [float(n) for n in range(1, 21)], 0.95, 19.0, id="rank 19 of 20, whatever floats make of it"
        ),
        pytest.param([float(n) for n in range(1, 21)], 1.0, 20.0, id="the largest"),
    ],
)
def test_a_quantile_is_an_observed_value(values: list[float], q: float, expected: float) -> None:
    """It is the value of rank ceil(q * count): nothing between two values is made up."""
    assert quantile(values, q) == expected


def test_equal_rounds_leave_no_doubt() -> None:
    """Where every round says the same, the interval is a point."""
    assert bootstrap([5.0] * 8, median) == Interval(value=5.0, low=5.0, high=5.0)


def test_an_interval_holds_most_of_what_chance_would_give() -> None:
    """The median of 1 to 101 is 51; by chance it seldom is below 40 or above 62 (binomial, about 2 sigma)."""
    found = bootstrap([float(n) for n in range(1, 102)], median)
    assert found.value == 51.0
    assert 38.0 <= found.low < 46.0
    assert 56.0 < found.high <= 64.0


def test_the_same_rounds_give_the_same_interval() -> None:
    """Two looks at one measurement do not differ."""
    rounds = [float(n * n % 37) for n in range(50)]
    assert bootstrap(rounds, p95) == bootstrap(rounds, p95)


def test_whole_rounds_are_drawn() -> None:
    """What was measured side by side stays so: a ratio that is the same in all rounds has no spread."""
    rounds = [(float(n), 2.0 * n) for n in range(1, 30)]
    found = bootstrap(rounds, lambda drawn: sum(b for _, b in drawn) / sum(a for a, _ in drawn))
    assert found == Interval(value=2.0, low=2.0, high=2.0)
