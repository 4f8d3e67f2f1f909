"""Small words of PromQL, and series in promtool's notation."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kokino.exports import promql
from kokino.exports.series import input_series, selector, values


@pytest.mark.parametrize(
    ("length", "written"),
    [
        (timedelta(0), "0s"),
        (timedelta(milliseconds=1500), "1500ms"),
        (timedelta(seconds=90), "90s"),
        (timedelta(minutes=5), "5m"),
        (timedelta(hours=36), "36h"),
        (timedelta(days=30), "30d"),
    ],
)
def test_a_length_is_written_in_its_largest_whole_unit(length: timedelta, written: str) -> None:
    """Prometheus takes no fractions."""
    assert promql.duration(length) == written


@pytest.mark.parametrize(("value", "written"), [(3.0, "3"), (0.015, "0.015"), (921.6, "921.6")])
def test_a_number_is_read_back_as_the_same(value: float, written: str) -> None:
    """A threshold is compared as it stands in the file."""
    assert promql.number(value) == written
    assert float(written) == value


def test_runs_of_one_value_are_short_and_a_series_that_ends_is_stale() -> None:
    """As a scrape leaves it: else its last value would be taken for five more minutes."""
    assert values([None, None, 0, 0, 0, 1, None, None, 1]) == "_x2 0+0x2 1 stale _x1 1"


def test_a_label_s_value_is_quoted() -> None:
    """Whatever it holds."""
    assert selector(("m", (("agent", 'a"b\\c'),))) == r'm{agent="a\"b\\c"}'


def test_only_what_the_rules_look_at_is_fed() -> None:
    """Of a histogram, the one edge that they name."""
    row = {
        ("headless_other", ()): 1.0,
        ("headless_b_bucket", (("le", "30.0"),)): 2.0,
        ("headless_b_bucket", (("le", "60.0"),)): 3.0,
    }
    assert input_series([row, row], 'headless_b_bucket{le="60.0"} > 1') == [
        {"series": 'headless_b_bucket{le="60.0"}', "values": "3+0x1"}
    ]
