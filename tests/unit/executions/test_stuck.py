"""Whether a running execution gets on: a table of cases, each with the reason why it is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kokino.executions.overdue.stuck import REPEATS, SILENCE, TOOL, Activity, Reason, decide, next_look

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
BUSY = Activity(last_output_at=NOW, tool=None, tool_since=None, repeats=1)
IN_TOOL = replace(BUSY, tool="Bash make", tool_since=NOW, last_output_at=NOW)


@pytest.mark.parametrize(
    ("why", "activity", "after", "reason"),
    [
        ("it has just written", BUSY, timedelta(0), None),
        ("a model may think for a while", BUSY, SILENCE - timedelta(seconds=1), None),
        ("but not for so long", BUSY, SILENCE, Reason.SILENCE),
        ("a tool is silent for longer than a model", IN_TOOL, SILENCE * 2, None),
        ("and even a build ends some day", IN_TOOL, TOOL, Reason.TOOL),
        ("polling a build is no loop", replace(BUSY, repeats=REPEATS - 1), timedelta(0), None),
        ("the same call again and again is", replace(BUSY, repeats=REPEATS), timedelta(0), Reason.REPEATS),
        ("whoever waits for a person is not stuck", replace(BUSY, is_waiting=True), SILENCE * 9, None),
    ],
)
def test_an_execution_is_stuck(why: str, activity: Activity, after: timedelta, reason: Reason | None) -> None:
    """By its silence, its tool or its loop; and it says so in words."""
    found = decide(activity, NOW + after)
    assert (found and found.reason) == reason, why
    assert found is None or found.message


@pytest.mark.parametrize("activity", [BUSY, IN_TOOL])
def test_it_is_looked_at_again_when_it_can_be_stuck_and_not_before(activity: Activity) -> None:
    """At that instant it is, a moment earlier it is not."""
    due = next_look(activity)
    assert due is not None
    assert decide(activity, due) is not None
    assert decide(activity, due - timedelta(milliseconds=1)) is None


def test_whoever_waits_for_a_person_is_not_looked_at_again() -> None:
    """Until the answer comes nothing can become of it, however long that takes."""
    assert next_look(replace(BUSY, is_waiting=True)) is None
