"""Decide what becomes of a comparison: it waits, its shadow side is ended, or it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from kokino.executions.model import Execution, State

#: Once tmux has answered, headless has as long again as that took, but never less than this: so long the
#: agent is not free, and the next caller waits. One that is so much slower is a finding by itself.
LEAST = timedelta(seconds=30)
#: Headless is a regression in latency where it takes half as long again, and that is more than a hiccup.
FACTOR = 1.5
DIFFERENCE = timedelta(seconds=5)

#: Ends of the users' execution after which there is nothing to compare with.
_WITHOUT_ANSWER = {
    State.CANCELLED: "it was cancelled",
    State.LOST: "its broker or its process went away",
    State.REFUSED: "it was refused",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A side runs; None waits for an end alone."""

    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndShadow:
    """The shadow side has to be ended."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Both sides are over, and can be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Both sides are over, and say nothing of the two sides."""

    reason: str


Fate = Wait | EndShadow | Judge | Drop


def decide(tmux: Execution | None, headless: Execution | None, cut_off: str | None, now: datetime) -> Fate:
    """`cut_off` is why the broker has ended the shadow side, if it has; an execution that is gone is None."""
    if tmux is None or headless is None:
        return Drop(reason="one of its executions is not there any more")
    if not tmux.state.is_end:
        return Wait()
    if not headless.state.is_end:
        return _shadow_runs(tmux, cut_off, now)
    if (why := _without_answer(tmux)) is not None:
        return Drop(reason=f"tmux: {why}")
    if cut_off is not None:
        return Drop(reason=cut_off)
    if (why := _without_answer(headless)) is not None:
        return Drop(reason=f"headless: {why}")
    return Judge()


def _shadow_runs(tmux: Execution, cut_off: str | None, now: datetime) -> Fate:
    if cut_off is not None:
        return Wait()
    if (why := _without_answer(tmux)) is not None:
        return EndShadow(reason=f"tmux: {why}")
    ended_at, took = tmux.ended_at or now, tmux.duration or timedelta()
    until = ended_at + max(LEAST, took)
    if tmux.state is not State.TIMEOUT and now < until:
        return Wait(until=until)
    return EndShadow(
        reason="both had the same deadline"
        if tmux.state is State.TIMEOUT
        else f"headless was not done {int((now - ended_at).total_seconds())} s after tmux had answered"
    )


def _without_answer(execution: Execution) -> str | None:
    """Why an end tells nothing of the side that it came by."""
    if execution.state in _WITHOUT_ANSWER:
        return _WITHOUT_ANSWER[execution.state]
    if execution.kind is not None and not execution.kind.counts_for_breaker:
        return f"{execution.kind.value}, which is its account's and no side's"
    return None


def is_regression(tmux: Execution, headless: Execution, now: datetime) -> bool:
    """Headless took much longer than tmux; one that still ran when it was ended took as long as that.

    Both begin when the shadow side does: before that, tmux waited for the snapshot.
    """
    began_at = headless.started_at
    if tmux.state is not State.COMPLETED or tmux.ended_at is None or began_at is None:
        return False
    usual, took = tmux.ended_at - began_at, (headless.ended_at or now) - began_at
    return took > usual * FACTOR and took - usual >= DIFFERENCE
