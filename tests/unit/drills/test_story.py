"""A story is told as far as it was seen, and no further."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from kokino.drills.observe import Facts, NotObservable
from kokino.drills.story import Missed, Pace, Sighting, Step, play

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PACE = Pace(look_every=timedelta(seconds=5), allowance=timedelta(seconds=30), limit=timedelta(minutes=20))


class JumpingClock:
    """A clock on which every sleep is over at once."""

    def __init__(self) -> None:
        self._now = START

    def now(self) -> datetime:
        return self._now

    async def sleep_until(self, instant: datetime) -> None:
        self._now = max(self._now, instant)


@dataclass
class Heard:
    """A teller that writes down what it hears."""

    begun_: list[str] = field(default_factory=list)
    seen_: list[str] = field(default_factory=list)
    looks: int = 0

    def begun(self, step: Step, at: datetime) -> None:
        self.begun_.append(step.id)

    def looked(self, facts: Facts) -> None:
        self.looks += 1

    def seen(self, step: Step, sighting: Sighting) -> None:
        self.seen_.append(step.id)


def facts_at(at: datetime) -> Facts:
    """A look at which nothing but the time is to be seen."""
    return Facts(at=at, availability={})


def seen_after(length: timedelta) -> Callable[[Facts], Sighting | None]:
    """What is to be seen once the broker's clock has run for so long."""
    return lambda facts: Sighting(at=facts.at, text="seen") if facts.at >= START + length else None


def step(id: str, *, after: timedelta, budget: timedelta, deed: str | None = None) -> Step:
    """A step that happens by itself at some time."""
    return Step(id=id, title=f"The {id}", sees=seen_after(after), budget=budget, deed=deed)


async def played(
    *steps: Step, pace: Pace = PACE, deeds: dict[str, Callable[[], None]] | None = None
) -> tuple[Missed | None, Heard]:
    """How it ends, and what was told."""
    clock, heard = JumpingClock(), Heard()

    async def look() -> Facts:
        return facts_at(clock.now())

    missed = await play(steps, look=look, deeds=deeds or {}, clock=clock, pace=pace, teller=heard)
    return missed, heard


async def test_a_story_whose_steps_are_all_seen_misses_nothing() -> None:
    """Each step is told once, in order."""
    first = step("first", after=timedelta(minutes=1), budget=timedelta(minutes=2))
    second = step("second", after=timedelta(minutes=2), budget=timedelta(minutes=2))

    missed, heard = await played(first, second)

    assert missed is None
    assert heard.seen_ == ["first", "second"]
    assert heard.looks > len(heard.seen_)


async def test_a_step_that_is_not_seen_in_time_ends_the_story_and_is_named() -> None:
    """What comes after it is not waited for; what was there instead is said."""
    good = step("good", after=timedelta(0), budget=timedelta(minutes=1))
    late = step("late", after=timedelta(minutes=9), budget=timedelta(minutes=2))
    last = step("last", after=timedelta(0), budget=timedelta(minutes=1))

    missed, heard = await played(good, late, last)

    assert missed is not None
    assert missed.step.id == "late"
    assert "budget of 2 min" in missed.reason
    assert missed.instead == facts_at(START).in_words()
    assert heard.begun_ == ["good", "late"]
    assert heard.seen_ == ["good"]


async def test_a_busy_machine_may_take_its_allowance_on_top() -> None:
    """The budget is the broker's; what processes take in real time comes on top."""
    slow = step("slow", after=timedelta(seconds=85), budget=timedelta(minutes=1))

    missed, _ = await played(slow)

    assert missed is None


async def test_no_step_outlasts_the_story_s_limit() -> None:
    """However large the budgets are, the whole has an end."""
    endless = step("endless", after=timedelta(hours=2), budget=timedelta(hours=3))
    pace = Pace(look_every=PACE.look_every, allowance=PACE.allowance, limit=timedelta(minutes=1))

    missed, heard = await played(endless, pace=pace)

    assert missed is not None
    assert heard.looks == 13  # at 0 s and every 5 s to 60 s


async def test_a_deed_is_done_once_when_its_step_begins() -> None:
    """What breaks the fleet happens after all that was to be seen before it."""
    done: list[str] = []
    first = step("first", after=timedelta(seconds=7), budget=timedelta(minutes=1))
    broken = step("broken", after=timedelta(seconds=30), budget=timedelta(minutes=1), deed="break")

    missed, _ = await played(first, broken, deeds={"break": lambda: done.append("broken")})

    assert missed is None
    assert done == ["broken"]


async def test_a_broker_that_cannot_be_seen_ends_the_story_at_its_step() -> None:
    """A look that fails is no sighting, and its reason is kept."""

    async def look() -> Facts:
        raise NotObservable("the broker did not answer as promised: ConnectError: refused")

    here = step("here", after=timedelta(0), budget=timedelta(minutes=1))
    missed = await play([here], look=look, deeds={}, clock=JumpingClock(), pace=PACE, teller=Heard())

    assert missed is not None
    assert (missed.step.id, missed.instead) == ("here", None)
    assert "ConnectError" in missed.reason
