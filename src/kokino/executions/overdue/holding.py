"""Whether an execution holds its agent's lock too long: decided from what it does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from kokino.agents.model import Limits
from kokino.executions.overdue.stuck import Activity, in_words

#: The specification's "agent locked > 5 min". One that writes gets on, however long it runs.
SILENCE = timedelta(minutes=5)
#: What an end may take beyond its grace: SIGKILL, a look at the repository, a database's worst moment.
ENDING = timedelta(seconds=30)


class Reason(StrEnum):
    """Why a LOCK_TIMEOUT is told."""

    SILENCE = "silence"
    DEADLINE = "deadline"
    #: No holder's fault: who waited for the agent has given up.
    QUEUE = "queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a lock's holder does at one instant."""

    activity: Activity
    locked_at: datetime
    #: Its wall deadline, from `locked_at` on.
    timeout: timedelta
    limits: Limits
    #: It lets the pause before another try pass: silent by design, and within its deadline.
    is_pausing: bool = False

    @property
    def ends_by(self) -> datetime:
        """When it has to be gone: its deadline, and what its end may take."""
        return self.locked_at + self.timeout + self._ending

    @property
    def patience(self) -> timedelta:
        """How long it may be silent; never shorter than its own idle deadline, which ends it by itself."""
        return max(SILENCE, self.limits.idle + self._ending)

    @property
    def silent_until(self) -> datetime | None:
        """When its silence is too long; None where that is no fault, or its deadline comes before."""
        due = self.activity.last_output_at + self.patience
        return None if self.is_resting or due >= self.locked_at + self.timeout else due

    @property
    def is_resting(self) -> bool:
        """Nothing can come from it now, and that is right so."""
        return self.is_pausing or self.activity.is_waiting

    @property
    def _ending(self) -> timedelta:
        return self.limits.grace + ENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A lock that is held too long."""

    reason: Reason
    held: timedelta
    #: The tool call that it is in; None when none is known to run.
    waits_for: str | None
    #: One line for a person.
    message: str


def decide(holding: Holding, now: datetime) -> Overdue | None:
    """Why its holder is overdue, or None while it may keep the lock."""
    if now >= holding.ends_by:
        deadline = in_words(holding.timeout)
        return _overdue(Reason.DEADLINE, holding, now, f"is not gone though its deadline was {deadline}")
    if holding.silent_until is not None and now >= holding.silent_until:
        silent = in_words(now - holding.activity.last_output_at)
        return _overdue(Reason.SILENCE, holding, now, f"has written nothing for {silent}")
    return None


def next_look(holding: Holding, now: datetime) -> datetime:
    """The first instant at which it can be overdue, whatever it writes or is told until then."""
    if holding.is_resting:
        return min(holding.ends_by, now + holding.patience)
    return holding.silent_until or holding.ends_by


def _overdue(reason: Reason, holding: Holding, now: datetime, why: str) -> Overdue:
    held, tool = now - holding.locked_at, holding.activity.tool
    where = "" if tool is None else f"; it waits for a tool: {tool}"
    return Overdue(
        reason=reason, held=held, waits_for=tool, message=f"locked for {in_words(held)}: {why}{where}"
    )
