"""Whether a running execution gets on: decided from what its records tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

#: The same call with the same input so many times in a row is a loop: polling a build takes two or three.
REPEATS = 5
#: A model that thinks is silent for seconds; half of the default idle deadline is long.
SILENCE = timedelta(seconds=60)
#: Builds and test suites run for minutes; what waits for input that never comes does too.
TOOL = timedelta(minutes=5)


class Reason(StrEnum):
    """Why it does not get on."""

    REPEATS = "repeats"
    TOOL = "tool"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What a running execution does at one instant."""

    #: When it last wrote something.
    last_output_at: datetime
    #: The tool call that runs, shortened; None when none is known to.
    tool: str | None
    #: Since when that call runs.
    tool_since: datetime | None
    #: How many times in a row its last call came with the same input.
    repeats: int
    #: It waits for somebody's answer: no fault of its own.
    is_waiting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """An execution that does not get on."""

    reason: Reason
    #: One line for a person.
    message: str


def decide(activity: Activity, now: datetime) -> Stuck | None:
    """Why it is stuck, or None while it gets on."""
    if activity.is_waiting:
        return None
    if activity.repeats >= REPEATS:
        message = f"the same tool call {activity.repeats} times in a row"
        message += "; the last has ended" if activity.tool is None else f": {activity.tool}"
        return Stuck(reason=Reason.REPEATS, message=message)
    if activity.tool is not None and activity.tool_since is not None:
        if (waited := now - activity.tool_since) < TOOL:
            return None
        return Stuck(reason=Reason.TOOL, message=f"waits {in_words(waited)} for a tool: {activity.tool}")
    if (silent := now - activity.last_output_at) < SILENCE:
        return None
    return Stuck(reason=Reason.SILENCE, message=f"has written nothing for {in_words(silent)}")


def next_look(activity: Activity) -> datetime | None:
    """When it would be stuck if nothing came any more; None while it waits for somebody."""
    if activity.is_waiting:
        return None
    if activity.tool is not None and activity.tool_since is not None:
        return activity.tool_since + TOOL
    return activity.last_output_at + SILENCE


def in_words(length: timedelta) -> str:
    """``90 s``, ``20 min``: rounded down."""
    seconds = int(length.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
