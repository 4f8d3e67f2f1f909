"""A story that a broker must live through: steps as data, each held against what was really seen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from kokino.clock import Clock
from kokino.drills.observe import Facts, NotObservable


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """That a step was seen to happen."""

    #: When it happened, by the broker's own records.
    at: datetime
    #: What was seen, in one sentence with its figures.
    text: str
    #: More of it, a line each: the page's text, the evidence.
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that must be seen to happen, after all before it."""

    #: Names the step in reports: ``alert-fires``.
    id: str
    #: What people read while it is waited for and once it is seen.
    title: str
    #: The sighting in the facts, or None while there is none.
    sees: Callable[[Facts], Sighting | None]
    #: How long it may take from the step before, on the broker's clock.
    budget: timedelta
    #: Name of what is done to the fleet when the step begins.
    deed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """The step at which the story broke off."""

    step: Step
    #: Why it is given up: its budget is over, or nothing could be seen.
    reason: str
    #: What was there instead; None when nothing could be seen at all.
    instead: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How closely the story is watched, on the broker's clock."""

    #: From one look to the next.
    look_every: timedelta
    #: On top of every step's budget: what a busy machine may take for processes and requests.
    allowance: timedelta
    #: For the whole story.
    limit: timedelta


class Teller(Protocol):
    """Hears of the story as it happens."""

    def begun(self, step: Step, at: datetime) -> None:
        """A step is waited for."""
        ...

    def looked(self, facts: Facts) -> None:
        """This is what there is to see now."""
        ...

    def seen(self, step: Step, sighting: Sighting) -> None:
        """The step happened."""
        ...


#: What a deed's name stands for.
Deeds = Mapping[str, Callable[[], None]]


async def play(
    steps: Sequence[Step],
    *,
    look: Callable[[], Awaitable[Facts]],
    deeds: Deeds,
    clock: Clock,
    pace: Pace,
    teller: Teller,
) -> Missed | None:
    """Wait for every step in turn; None when all were seen, else the first that was not."""
    ends_at = clock.now() + pace.limit
    for step in steps:
        now = clock.now()
        teller.begun(step, now)
        if step.deed is not None:
            deeds[step.deed]()
        give_up_at = min(now + step.budget + pace.allowance, ends_at)
        missed = await _await_step(
            step, look=look, clock=clock, pace=pace, teller=teller, give_up_at=give_up_at
        )
        if missed is not None:
            return missed
    return None


async def _await_step(
    step: Step,
    *,
    look: Callable[[], Awaitable[Facts]],
    clock: Clock,
    pace: Pace,
    teller: Teller,
    give_up_at: datetime,
) -> Missed | None:
    while True:
        # The time is asked before the look: what happened until then counts, however long the look takes.
        asked_at = clock.now()
        try:
            facts = await look()
        except NotObservable as error:
            return Missed(step=step, reason=error.message, instead=None)
        teller.looked(facts)
        if (sighting := step.sees(facts)) is not None:
            teller.seen(step, sighting)
            return None
        if asked_at >= give_up_at:
            return Missed(step=step, reason=_is_over(step), instead=facts.in_words())
        await clock.sleep_until(asked_at + pace.look_every)


def _is_over(step: Step) -> str:
    minutes = step.budget.total_seconds() / 60
    return f"not seen within its budget of {minutes:g} min and what a busy machine is allowed on top"
