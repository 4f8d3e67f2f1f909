"""The evidence gate: the exact upper tail of the binomial distribution."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.alerts.gate import fewest_failures, tail, weigh
from kokino.telemetry.model import Counts

P, ALPHA = 0.005, 0.0002


def exact_tail(k: int, n: int, p: Fraction) -> Fraction:
    """The same by definition, in fractions."""
    return sum((math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1)), Fraction(0))


@pytest.mark.parametrize(
    ("failures", "most"),
    [
        (2, 4),
        (3, 22),
        (4, 57),
        (5, 105),
    ],
)
def test_the_table_of_the_design_holds(failures: int, most: int) -> None:
    """So many failures are evidence among so many executions, one less is not, nor among one more."""
    assert weigh(Counts(good=most - failures, bad=failures), p=P, alpha=ALPHA).is_enough
    assert not weigh(Counts(good=most + 1 - failures, bad=failures), p=P, alpha=ALPHA).is_enough
    assert not weigh(Counts(good=most + 1 - failures, bad=failures - 1), p=P, alpha=ALPHA).is_enough


@given(st.integers(0, 1_000_000))
def test_one_failure_is_never_evidence(good: int) -> None:
    """Whatever else ran: a single failure wakes nobody."""
    assert not weigh(Counts(good=good, bad=1), p=P, alpha=ALPHA).is_enough
    assert fewest_failures(p=P, alpha=ALPHA) == 2


def test_no_failures_are_no_evidence() -> None:
    """Nor is nothing."""
    assert not weigh(Counts(good=10), p=P, alpha=0.999999).is_enough
    assert not weigh(Counts(), p=P, alpha=0.999999).is_enough


@given(st.integers(1, 120), st.integers(0, 121), st.sampled_from(["0.005", "0.05", "0.5", "0.9"]))
def test_the_tail_equals_its_definition(n: int, k: int, p: str) -> None:
    """Against exact fractions, on both sides of the mean."""
    assert tail(k, n, float(p)) == pytest.approx(float(exact_tail(k, n, Fraction(p))), rel=1e-8, abs=1e-15)


@pytest.mark.parametrize(
    ("k", "lowest", "highest"),
    [
        (0, 1.0, 1.0),
        (1, 1.0, 1.0),
        # The median of a binomial lies within one of its mean.
        (5_000, 0.5, 0.51),
        # 3 standard deviations (70.5) above the mean: the normal tail is 0.00135, this one a little heavier.
        (5_212, 0.0012, 0.0016),
        (6_000, 0.0, 1e-40),
        (1_000_000, 0.0, 0.0),
    ],
)
def test_a_million_executions_neither_overflow_nor_underflow(k: int, lowest: float, highest: float) -> None:
    """The sum starts where the terms are large."""
    assert lowest <= tail(k, 1_000_000, P) <= highest


@given(st.integers(1, 2_000), st.data())
def test_more_failures_are_never_weaker_evidence(n: int, data: st.DataObject) -> None:
    """The tail only falls."""
    k = data.draw(st.integers(0, n))
    assert tail(k + 1, n, P) <= tail(k, n, P)


def test_a_share_outside_its_range_is_refused() -> None:
    """Half a percent is 0.005, not 0.5 or 5."""
    with pytest.raises(ValueError, match="above 0 and below 1"):
        tail(1, 10, 1.5)
