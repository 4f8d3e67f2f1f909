"""What becomes of a comparison follows from how far both sides are."""

from __future__ import annotations

import pytest

from kokino.agents.failures import FailureKind
from kokino.executions.model import Execution, State
from kokino.shadow.fate import Drop, EndShadow, Fate, Judge, Wait, decide, is_regression
from tests.unit.shadow.given import at, execution

RUNS = execution(State.RUNNING)
DONE = execution(State.COMPLETED)
SLOW = execution(State.COMPLETED, took=60)


@pytest.mark.parametrize(
    ("tmux", "headless", "seconds", "fate"),
    [
        pytest.param(RUNS, RUNS, 5, Wait(), id="both run"),
        pytest.param(RUNS, DONE, 15, Wait(), id="headless was first"),
        pytest.param(DONE, RUNS, 11, Wait(until=at(40)), id="it has half a minute after a quick answer"),
        pytest.param(SLOW, RUNS, 61, Wait(until=at(120)), id="as long again after a slow one"),
        pytest.param(
            DONE,
            RUNS,
            40,
            EndShadow(reason="headless was not done 30 s after tmux had answered"),
            id="then it is ended",
        ),
        pytest.param(
            execution(State.CANCELLED, kind=FailureKind.CANCELLED),
            RUNS,
            11,
            EndShadow(reason="tmux: it was cancelled"),
            id="a cancel ends both",
        ),
        pytest.param(
            execution(State.TIMEOUT, kind=FailureKind.TIMEOUT),
            RUNS,
            11,
            EndShadow(reason="both had the same deadline"),
            id="a deadline ends both",
        ),
        pytest.param(
            execution(State.LOST, kind=FailureKind.LOST),
            RUNS,
            11,
            EndShadow(reason="tmux: its broker or its process went away"),
            id="nobody waits for an answer any more",
        ),
        pytest.param(DONE, DONE, 11, Judge(), id="both are done"),
        pytest.param(
            DONE, execution(State.FAILED, kind=FailureKind.AUTH), 11, Judge(), id="one failed by itself"
        ),
        pytest.param(
            DONE, execution(State.TIMEOUT, kind=FailureKind.TIMEOUT), 11, Judge(), id="by its own deadline"
        ),
        pytest.param(
            execution(State.TIMEOUT, kind=FailureKind.TIMEOUT), DONE, 11, Judge(), id="tmux by its deadline"
        ),
        pytest.param(
            DONE,
            execution(State.FAILED, kind=FailureKind.RATE_LIMIT),
            11,
            Drop(reason="headless: rate_limit, which is its account's and no side's"),
            id="two at a time were too many for the account",
        ),
        pytest.param(
            execution(State.CANCELLED, kind=FailureKind.CANCELLED),
            DONE,
            11,
            Drop(reason="tmux: it was cancelled"),
            id="cancelled after headless was done",
        ),
        pytest.param(
            DONE,
            execution(State.CANCELLED, kind=FailureKind.CANCELLED),
            11,
            Drop(reason="headless: it was cancelled"),
            id="somebody ended the shadow side alone",
        ),
        pytest.param(
            None, DONE, 11, Drop(reason="one of its executions is not there any more"), id="forgotten"
        ),
    ],
)
def test_a_comparison_goes_on_as_its_sides_do(
    tmux: Execution | None, headless: Execution, seconds: float, fate: Fate
) -> None:
    """Whatever they have come to."""
    assert decide(tmux, headless, None, at(seconds)) == fate


def test_a_shadow_side_that_was_ended_is_ended_once_and_not_compared() -> None:
    """The reason that was written down stays."""
    assert decide(DONE, RUNS, "too slow", at(60)) == Wait()
    ended = execution(State.CANCELLED, kind=FailureKind.CANCELLED)
    assert decide(DONE, ended, "too slow", at(60)) == Drop(reason="too slow")


@pytest.mark.parametrize(
    ("tmux", "headless", "wanted"),
    [
        (10, 15.1, True),
        (10, 15, False),
        (1, 5.9, False),
        (1, 6, True),
        (10, 9, False),
    ],
)
def test_headless_is_a_regression_by_factor_and_by_seconds(
    tmux: float, headless: float, *, wanted: bool
) -> None:
    """Half as long again, and five seconds at the least."""
    pair = execution(took=tmux), execution(took=headless)
    assert is_regression(*pair, at(100)) is wanted


def test_a_headless_that_was_cut_off_took_at_least_so_long() -> None:
    """It is a regression although it has no end of its own; beside a failure nothing is slow."""
    assert is_regression(execution(took=10), execution(State.CANCELLED, took=40), at(40))
    assert not is_regression(execution(State.CANCELLED, took=10), execution(took=40), at(40))
