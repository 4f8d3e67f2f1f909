"""Streams of events, each the same whenever it is made with the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from random import Random

from kokino.alerts.rehearse import START
from kokino.telemetry.model import END_TYPES, Event, EventType

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
#: How much one execution's memory differs from the next one's. So little that a mean crosses a limit once:
#: what crosses it back before Prometheus looks, it cannot see.
SPREAD_MB = 20
#: What is so from an instant on: a chance, or a mean.
Phases = Sequence[tuple[timedelta, float]]
Stream = Callable[[Random], list[Event]]


def arrivals(random: Random, mean: timedelta, length: timedelta) -> Iterator[datetime]:
    """Poisson traffic: so far apart on average, in whole milliseconds."""
    at = START
    while True:
        at += timedelta(milliseconds=1 + int(random.expovariate(1 / (mean / timedelta(milliseconds=1)))))
        if at > START + length:
            return
        yield at


def ended(random: Random, at: datetime, *, failed: bool = False, **more: object) -> Event:
    """The end of an execution of some agent."""
    state = random.choice(["failed", "timeout", "lost", "refused"]) if failed else "completed"
    cli_type = random.choice(["gemini", "codex"])
    return Event(type=END_TYPES[state], at=at, agent_id="a", cli_type=cli_type, **more)  # type: ignore[arg-type]


def failing(mean: timedelta, length: timedelta, phases: Phases) -> Stream:
    """Executions that fail with a chance that changes."""

    def made(random: Random) -> list[Event]:
        return [
            ended(random, at, failed=random.random() < _current(phases, at - START))
            for at in arrivals(random, mean, length)
        ]

    return made


def slow(mean: timedelta, length: timedelta, phases: Phases, *, quick_ms: int = 60_000) -> Stream:
    """Executions that take over a minute with a chance that changes; they are known to run meanwhile."""

    def made(random: Random) -> list[Event]:
        found: list[Event] = []
        for number, at in enumerate(arrivals(random, mean, length)):
            is_slow = random.random() < _current(phases, at - START)
            took = timedelta(
                milliseconds=random.randint(60_001, 400_000) if is_slow else random.randint(10, quick_ms)
            )
            found += run(random, f"exec-{number}", at, took)
        return found

    return made


def run(random: Random, execution_id: str, at: datetime, took: timedelta) -> list[Event]:
    """An execution from its start to its end."""
    end = ended(random, at + took, execution_id=execution_id, duration_ms=took // timedelta(milliseconds=1))
    start = Event(
        type=EventType.EXECUTION_STARTED,
        at=at,
        agent_id=end.agent_id,
        cli_type=end.cli_type,
        execution_id=execution_id,
    )
    return [start, end]


def hungry(mean: timedelta, length: timedelta, phases: Phases) -> Stream:
    """Executions whose memory has a mean that changes, in MiB."""

    def made(random: Random) -> list[Event]:
        return [
            ended(
                random,
                at,
                memory_mb=max(1, int(random.gauss(_current(phases, at - START), SPREAD_MB))),
                memory_slo_mb=500,
            )
            for at in arrivals(random, mean, length)
        ]

    return made


def compared(mean: timedelta, length: timedelta, phases: Phases) -> Stream:
    """Comparisons of shadow mode that differ with a chance that changes."""

    def made(random: Random) -> list[Event]:
        return [
            Event(
                type=EventType.SHADOW_MISMATCH
                if random.random() < _current(phases, at - START)
                else EventType.SHADOW_SUCCESS,
                at=at,
            )
            for at in arrivals(random, mean, length)
        ]

    return made


def levels(types: Sequence[EventType], mean: timedelta, length: timedelta) -> Stream:
    """Any of these events, of two agents and two CLI types."""

    def made(random: Random) -> list[Event]:
        return [
            Event(
                type=random.choice(types),
                at=at,
                agent_id=random.choice("ab"),
                cli_type=random.choice(["gemini", "codex"]),
            )
            for at in arrivals(random, mean, length)
        ]

    return made


def _current(phases: Phases, since_start: timedelta) -> float:
    """The value of the last phase that has begun."""
    return [value for begins, value in phases if begins <= since_start][-1]
