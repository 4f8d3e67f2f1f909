"""Durations in buckets: what is exact, and how wrong a quantile may be."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.telemetry.histogram import EDGES, EXACT_EDGES, PER_DOUBLING, Histogram

DURATIONS = st.lists(st.integers(0, 2_000_000), min_size=1, max_size=80)


@given(DURATIONS, st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99, 1.0]))
def test_a_quantile_is_never_too_short_and_at_most_one_bucket_too_long(
    durations: list[int], q: float
) -> None:
    """The error bound that the module states holds for any durations."""
    true = sorted(durations)[math.ceil(round(q * len(durations), 9)) - 1]
    found = Histogram.of(durations).quantile(q)
    assert found is not None
    assert true <= found <= true * 2 ** (1 / PER_DOUBLING) + 1


@given(DURATIONS, st.sampled_from(EXACT_EDGES))
def test_counts_are_exact_at_the_edges_that_somebody_asks_for(durations: list[int], limit: int) -> None:
    """How many took longer than 30 s or 60 s is known to the execution."""
    histogram = Histogram.of(durations)
    assert histogram.above(limit) == sum(duration > limit for duration in durations)
    assert histogram.within(limit) == sum(duration <= limit for duration in durations)


@given(DURATIONS)
def test_p95_and_the_share_within_the_objective_say_the_same(durations: list[int]) -> None:
    """P95 is at most 30 s exactly when at least 95 % were within 30 s."""
    histogram = Histogram.of(durations)
    p95 = histogram.quantile(0.95)
    assert p95 is not None
    assert (p95 <= 30_000) == (histogram.within(30_000) * 100 >= 95 * histogram.count)


@given(DURATIONS, DURATIONS)
def test_two_histograms_together_are_the_histogram_of_all(first: list[int], second: list[int]) -> None:
    """Buckets may be added in any split, as windows do."""
    assert Histogram.of(first) + Histogram.of(second) == Histogram.of(first + second)


@given(DURATIONS)
def test_a_histogram_survives_its_document(durations: list[int]) -> None:
    """What is stored comes back equal."""
    histogram = Histogram.of(durations)
    assert Histogram.from_document(histogram.to_document(), histogram.max_ms) == histogram


def test_edges_grow_and_hold_the_exact_ones() -> None:
    """Every edge that must be exact is an edge, and none stands twice."""
    assert set(EXACT_EDGES) <= set(EDGES)
    assert list(EDGES) == sorted(set(EDGES))


def test_no_durations_have_no_quantile() -> None:
    """No data is no number, not zero."""
    assert Histogram().quantile(0.95) is None


def test_a_share_outside_its_range_is_refused() -> None:
    """95 for 0.95 is a mistake that must not pass as an answer."""
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        Histogram.of([1]).quantile(95)


def test_absurd_durations_are_still_counted() -> None:
    """A clock that was set, or a century, breaks nothing."""
    histogram = Histogram.of([-5, 2**50])
    assert histogram.count == 2
    assert histogram.above(1_000) == 1
