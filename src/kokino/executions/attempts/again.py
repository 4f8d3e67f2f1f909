"""Decide whether an execution that failed is tried once more: with a new session, or after a pause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from kokino.agents.drivers.contract import Reader
from kokino.agents.drivers.terminal.screen import ScreenReader
from kokino.agents.failures import FINAL, FailureKind
from kokino.executions.model import Ending, Execution, State

#: The first pause before another try; each further one is twice as long. CLIs have tried for up to five
#: minutes themselves when they give up, so there is no hurry.
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=2)


class Cause(StrEnum):
    """Why it is tried once more."""

    #: The CLI does not know its session any more: it gets a new one.
    SESSION = "session"
    #: `retries` of the agent names the kind of failure.
    RETRY = "retry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Another try."""

    cause: Cause
    #: How long to wait before it.
    pause: timedelta
    reason: str


def decide(
    execution: Execution,
    ending: Ending,
    reader: Reader,
    *,
    session_is_alive: bool,
    retries: Mapping[FailureKind, int],
    now: datetime,
) -> Again | None:
    """Another try, or None when this is the end.

    A session is replaced once: a CLI that knows no new one either is broken. Nothing is repeated that may
    have changed something: not once a tool ran, and not what was typed into a terminal. And nothing that the
    deadline would cut off before it began.
    """
    if ending.state is not State.FAILED or ending.kind is None or reader.tools.count:
        return None
    if ending.was_typed:
        return None
    # A session may be dead beside the failure and not be its reason: of a login that is refused, say. And a
    # screen does not tell that it is unknown.
    can_tell = not isinstance(reader, ScreenReader)
    is_forgotten = can_tell and not session_is_alive and ending.kind is FailureKind.PROTOCOL
    if is_forgotten and not execution.replaced:
        return Again(cause=Cause.SESSION, pause=timedelta(0), reason=str(ending.error))
    if ending.kind in FINAL or execution.retried >= retries.get(ending.kind, 0):
        return None
    pause = pause_before(execution.retried + 1)
    if now + pause >= (execution.started_at or execution.queued_at) + execution.timeout:
        return None
    return Again(cause=Cause.RETRY, pause=pause, reason=f"{ending.kind.value}: {ending.error}")


def pause_before(retry: int) -> timedelta:
    """How long to wait before the first, second, ... try after a failure; none where none failed."""
    return min(FIRST_PAUSE * 2 ** (retry - 1), LONGEST_PAUSE) if retry else timedelta(0)
