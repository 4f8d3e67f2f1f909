"""Cutting a window into whole buckets and edges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kokino.telemetry.windows import LENGTHS, Cut, Grain, Span, cut, floor

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MS = timedelta(milliseconds=1)
INSTANTS = st.integers(0, 40 * 86_400_000).map(lambda ms: T + ms * MS)


@given(INSTANTS, INSTANTS)
def test_the_pieces_cover_the_window_once(first: datetime, second: datetime) -> None:
    """No millisecond is left out and none is counted twice."""
    since, until = sorted([first, second])
    pieces = cut(since, until)
    spans = sorted([*pieces.edges, *(span for _, span in pieces.buckets)], key=lambda span: span.since)
    at = since
    for span in spans:
        assert span.since == at
        assert span.until > at
        at = span.until
    assert at == until


@given(INSTANTS, INSTANTS)
def test_whole_buckets_start_and_end_on_their_grain(first: datetime, second: datetime) -> None:
    """A rollup is used only where the whole of it lies in the window."""
    for grain, span in cut(*sorted([first, second])).buckets:
        assert floor(span.since, grain) == span.since
        assert floor(span.until, grain) == span.until


@given(INSTANTS)
def test_a_window_of_30_days_reads_under_200_rows(until: datetime) -> None:
    """The rows of one scope that the longest window touches are bounded, wherever it lies."""
    pieces = cut(until - timedelta(days=30), until)
    rows = sum((span.until - span.since) // LENGTHS[grain] for grain, span in pieces.buckets)
    assert rows < 200
    assert sum((span.until - span.since for span in pieces.edges), timedelta(0)) <= timedelta(minutes=2)


def test_a_window_within_one_minute_is_all_edge() -> None:
    """There is no whole bucket in it, so the events alone answer."""
    span = Span(T + 5 * MS, T + timedelta(seconds=40))
    pieces = cut(span.since, span.until)
    assert (pieces.buckets, pieces.edges) == ((), (span,))


def test_an_empty_window_has_no_pieces() -> None:
    """Nothing is read for nothing."""
    assert cut(T, T) == Cut((), ())


def test_a_whole_day_is_one_row() -> None:
    """Aligned windows need no edges and no smaller grain."""
    start = floor(T, Grain.DAY)
    pieces = cut(start, start + timedelta(days=1))
    assert pieces.buckets == ((Grain.DAY, Span(start, start + timedelta(days=1))),)
    assert pieces.edges == ()
