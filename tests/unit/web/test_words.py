from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kokino.web import words

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        pytest.param(0, "just now", id="this instant"),
        pytest.param(-1, "just now", id="a clock that is a second behind"),
        pytest.param(2, "2 s ago", id="the first count"),
        pytest.param(59.9, "59 s ago", id="rounded down, not to a minute"),
        pytest.param(3_599, "59 min ago", id="one unit alone"),
        pytest.param(90_000, "1 d ago", id="a day"),
        pytest.param(-40, "in 40 s", id="what is to come"),
    ],
)
def test_a_hint_says_how_long_ago_in_one_unit(seconds: float, said: str) -> None:
    """A hint beside a time names one unit, rounded towards now."""
    assert words.ago(NOW - timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        pytest.param(-5, "0 s", id="never under nothing"),
        pytest.param(42, "42 s", id="seconds"),
        pytest.param(200, "3 min 20 s", id="two units"),
        pytest.param(3_600, "1 h", id="no empty unit"),
        pytest.param(93_784, "1 d 2 h", id="the two largest"),
    ],
)
def test_a_length_has_its_two_largest_units(seconds: float, said: str) -> None:
    """Lengths are rounded down to their two largest units."""
    assert words.length(timedelta(seconds=seconds)) == said


def test_a_share_is_cut_and_never_rounded_up_to_its_target() -> None:
    """An availability just under 99.5 % does not look like 99.50 %."""
    assert words.share(0.994999) == "99.49 %"


@pytest.mark.parametrize("say", [words.share, words.times, words.minutes, words.milliseconds])
def test_nothing_measured_is_a_dash(say: object) -> None:
    """No data is never shown as a figure."""
    assert callable(say)
    assert say(None) == words.NOTHING


def test_a_cut_text_says_how_much_is_missing() -> None:
    """Whoever reads a cut output knows that it was cut."""
    assert words.cut("x" * 1_500, 100) == "x" * 100 + "\n… 1,400 more characters"
