from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kokino.telemetry.minute_store import Minute
from kokino.web.levels import HEIGHT, LOWEST, chart

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
COUNTS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), max_size=60)


def _minutes(counts: list[tuple[int, int]]) -> list[Minute]:
    return [
        Minute(at=START + timedelta(minutes=number), good=good, bad=bad)
        for number, (good, bad) in enumerate(counts)
    ]


@given(COUNTS)
def test_every_bar_stays_inside_the_chart(counts: list[tuple[int, int]]) -> None:
    """Whatever was counted, nothing is drawn outside."""
    for bar in chart(_minutes(counts)).bars:
        assert bar.bad_y >= -0.01
        assert bar.good_y + bar.good_height <= HEIGHT + 0.01


@given(COUNTS)
def test_a_single_failure_is_seen_in_the_busiest_hour(counts: list[tuple[int, int]]) -> None:
    """A minute with any bad execution has a bar that can be seen."""
    for (_, bad), bar in zip(counts, chart(_minutes(counts)).bars, strict=True):
        assert (bar.bad_height >= LOWEST) == (bad > 0)


def test_the_chart_says_in_words_what_it_shows() -> None:
    """Who cannot see the chart reads its sums."""
    found = chart(_minutes([(3, 1), (0, 0), (9, 0)]))
    assert found.summary == "Last hour: 13 executions, 1 bad; at most 9 in a minute"
