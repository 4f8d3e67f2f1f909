"""Whether a lock is held too long: a table of cases, each with the reason why it is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kokino.agents.model import Limits
from kokino.executions.overdue.holding import ENDING, SILENCE, Holding, Reason, decide, next_look
from kokino.executions.overdue.stuck import Activity

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
QUIET = Activity(last_output_at=NOW, tool=None, tool_since=None, repeats=1)
#: An hour's work, silent since it began.
HOUR = Holding(activity=QUIET, locked_at=NOW, timeout=timedelta(hours=1), limits=Limits())
IN_TOOL = replace(HOUR, activity=replace(QUIET, tool="Bash make", tool_since=NOW))
WAITING = replace(HOUR, activity=replace(QUIET, is_waiting=True))
#: What a broker asks for by default: its wall deadline is as long as a lock's silence may be.
DEFAULT = replace(HOUR, timeout=timedelta(minutes=5))
PATIENT = replace(HOUR, limits=Limits(idle=timedelta(minutes=10)))
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
END = Limits().grace + ENDING


def writing_at(after: timedelta) -> Holding:
    """It wrote something so long after it began."""
    return replace(HOUR, activity=replace(QUIET, last_output_at=NOW + after))


@pytest.mark.parametrize(
    ("why", "holding", "after", "reason"),
    [
        ("it has just begun", HOUR, timedelta(0), None),
        ("a lock may be silent for a while", HOUR, SILENCE - SECOND, None),
        ("but not for five minutes", HOUR, SILENCE, Reason.SILENCE),
        ("a tool that waits for input for ever looks like a build", IN_TOOL, SILENCE, Reason.SILENCE),
        ("whoever writes gets on, however long", writing_at(19 * MINUTE), 20 * MINUTE, None),
        ("and then falls silent", writing_at(19 * MINUTE), 24 * MINUTE, Reason.SILENCE),
        ("a person may think", WAITING, 40 * MINUTE, None),
        ("but its deadline does not wait", WAITING, 60 * MINUTE + END, Reason.DEADLINE),
        ("a pause before another try is silent", replace(HOUR, is_pausing=True), 40 * MINUTE, None),
        ("whoever lets it be silent for longer means it", PATIENT, 10 * MINUTE + END - SECOND, None),
        ("its idle deadline has not ended it", PATIENT, 10 * MINUTE + END, Reason.SILENCE),
        ("its deadline is about to end it", DEFAULT, SILENCE, None),
        ("an end takes its time", DEFAULT, 5 * MINUTE + END - SECOND, None),
        ("its end does not come", DEFAULT, 5 * MINUTE + END, Reason.DEADLINE),
        ("writing is no excuse then", writing_at(60 * MINUTE), 60 * MINUTE + END, Reason.DEADLINE),
    ],
)
def test_a_lock_is_held_too_long(why: str, holding: Holding, after: timedelta, reason: Reason | None) -> None:
    """By a holder that is silent or not gone after its deadline, never by one that merely runs long."""
    found = decide(holding, NOW + after)
    assert (found and found.reason) == reason, why


def test_it_says_for_how_long_and_what_it_waits_for() -> None:
    """In words for a person and in values for a program."""
    found = decide(IN_TOOL, NOW + 7 * MINUTE)
    assert found is not None
    assert (found.held, found.waits_for) == (7 * MINUTE, "Bash make")
    assert found.message == (
        "locked for 7 min: has written nothing for 7 min; it waits for a tool: Bash make"
    )


@pytest.mark.parametrize("holding", [HOUR, IN_TOOL, DEFAULT, PATIENT, writing_at(59 * MINUTE)])
def test_it_is_looked_at_again_when_it_can_be_overdue_and_not_before(holding: Holding) -> None:
    """At that instant it is, a moment earlier it is not."""
    due = next_look(holding, NOW)
    assert decide(holding, due) is not None
    assert decide(holding, due - timedelta(milliseconds=1)) is None


def test_whoever_gets_its_answer_is_looked_at_in_time() -> None:
    """One that was answered a moment after a look can be silent for too long only after the next one."""
    answered = NOW + SECOND
    goes_on = replace(WAITING, activity=replace(QUIET, last_output_at=answered))
    assert next_look(WAITING, NOW) <= answered + SILENCE == next_look(goes_on, answered)
