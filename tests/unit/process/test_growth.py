"""What tells a leak from a big job."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.process.growth import (
    FEWEST,
    GROWING,
    LONGEST,
    MOST,
    SHORTEST,
    STEADY,
    UNKNOWN,
    Window,
    judge,
    order,
    theil_sen,
)

MB = 1_000_000
#: Samples as the meter takes them: one each two seconds.
PAUSE = 2.0


def watched(taken: Callable[[float], float], seconds: float) -> Window:
    """A window that has seen a tree for so long."""
    window = Window()
    for step in range(int(seconds / PAUSE) + 1):
        window.add(step * PAUSE, int(taken(step * PAUSE)))
    return window


def noisy(seconds: float) -> float:
    """Fifty megabytes more or less, at random but always the same."""
    return random.Random(seconds).uniform(-50, 50)


@pytest.mark.parametrize(
    ("why", "taken", "minutes", "word"),
    [
        ("a leak of 20 MB a minute", lambda t: 300 + t / 3, 3, GROWING),
        ("the same on top of a working set that goes up and down", lambda t: 300 + t + noisy(t), 10, GROWING),
        ("the same with garbage collected each 20 s", lambda t: 300 + t + 40 * (t % 20) / 20, 5, GROWING),
        ("a leak behind a big start", lambda t: (900 if t > 10 else 100) + t, 4, GROWING),
        ("a job that takes a lot and keeps it", lambda t: 100 if t < 90 else 900, 3, STEADY),
        ("a build that grows for a minute and stays", lambda t: 200 + 10 * min(t, 60), 5, STEADY),
        ("one that gives back what it took", lambda t: 800 - t, 3, STEADY),
        ("noise alone", noisy, 10, STEADY),
        ("a tree that never changes", lambda _: 400, 3, STEADY),
        ("a crawl of 2 MB a minute, which no half hour makes a trouble", lambda t: 300 + t / 30, 10, STEADY),
        ("8 MB a minute of 2 GB, which is less than 1 %", lambda t: 2000 + t * 8 / 60, 10, STEADY),
        ("too short to tell", lambda t: 300 + 10 * t, 0.9, UNKNOWN),
    ],
)
def test_a_leak_is_told_from_a_big_job(
    why: str, taken: Callable[[float], float], minutes: float, word: str
) -> None:
    """By growth that goes on and is more than noise."""
    assert watched(lambda t: taken(t) * MB, minutes * 60).verdict[1] == word, why


def test_the_slope_is_in_megabytes_per_minute() -> None:
    """As the API tells it; nothing while too little is known."""
    assert watched(lambda t: t * MB, 300).mb_per_minute == 60.0
    assert watched(lambda t: t * MB, SHORTEST - PAUSE).mb_per_minute is None
    few = [(index * 10.0, 0.0) for index in range(FEWEST - 1)]
    assert judge(few) == (None, UNKNOWN)
    assert judge([*few, (FEWEST * 10.0, 0.0)]) == (0.0, STEADY)


@given(st.floats(0, 100_000), st.integers(1, 3000))
def test_a_window_stays_small_and_reaches_back(pause: float, count: int) -> None:
    """Whatever the pauses are: never more samples than it may keep, none older than it looks back."""
    window = Window()
    for step in range(count):
        window.add(step * pause, step)
    times = [at for at, _ in window.points]
    assert len(times) <= MOST
    assert times == sorted(times)
    assert all(times[-1] - at <= LONGEST for at in times)
    if pause * (count - 1) >= 300 and pause <= 2:
        assert times[-1] - times[0] >= min(pause * (count - 1), LONGEST) / 2
        assert len(times) >= FEWEST


SAMPLES = st.lists(st.floats(0, 2e9), min_size=FEWEST, max_size=MOST)


@given(SAMPLES, st.floats(-1e6, 1e6), st.floats(0, 1e9))
def test_the_slope_follows_what_is_added(taken: list[float], slope: float, offset: float) -> None:
    """A ramp on top adds its slope, and a constant nothing: so units and starts do not matter."""
    plain = [(index * 10.0, value) for index, value in enumerate(taken)]
    raised = [(at, value + slope * at + offset) for at, value in plain]
    assert math.isclose(theil_sen(raised), theil_sen(plain) + slope, rel_tol=1e-6, abs_tol=1.0)


@given(st.integers(20, MOST), st.floats(1e4, 1e6), st.data())
def test_a_quarter_of_wild_samples_does_not_bend_the_slope(
    count: int, slope: float, data: st.DataObject
) -> None:
    """A peak, a restart of a tool, a collection of garbage: the rest tells how it grows."""
    points = [(index * 5.0, slope * index * 5.0) for index in range(count)]
    wild = data.draw(st.sets(st.integers(0, count - 1), max_size=count // 4))
    bent = [(at, 0.0 if index in wild else value) for index, (at, value) in enumerate(points)]
    assert math.isclose(theil_sen(bent), slope, rel_tol=1e-6)


@given(SAMPLES)
def test_growth_and_its_mirror_are_told_apart(taken: list[float]) -> None:
    """What grows forwards does not grow backwards."""
    forwards = [(index * 10.0, value) for index, value in enumerate(taken)]
    backwards = [(index * 10.0, value) for index, value in enumerate(reversed(taken))]
    assert order(forwards) == -order(backwards)
    assert (judge(forwards)[1], judge(backwards)[1]) != (GROWING, GROWING)
