"""How long it takes to say what all alert rules would have done in the last thirty days."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from benchmarks.result import Benchmark, Figure, Unit
from benchmarks.statistics import bootstrap, median
from kokino.alerts.rehearse import START, Rehearsal
from kokino.alerts.rulefile import packaged
from kokino.alerts.timeline import Timeline
from kokino.clock import MILLISECOND
from kokino.slo.defaults import defaults
from kokino.telemetry.model import END_TYPES, Event, EventType

DAYS, QUICK_DAYS = 30, 1
#: Executions: a Poisson stream of this rate, of which this share fails, as much as the SLO allows.
PER_HOUR = 20
BAD = 0.005
MEAN_MS = 8_000
STEP = timedelta(minutes=1)
ROUNDS, QUICK_ROUNDS = 3, 2
SEED = 20260105


async def run(_folder: Path, is_quick: bool) -> list[Figure]:
    """Follow every rule through the same events, from the first to the last minute."""
    length = timedelta(days=QUICK_DAYS if is_quick else DAYS)
    happened = list(_events(length))
    taken = [_follow(happened, length) for _ in range(QUICK_ROUNDS if is_quick else ROUNDS)]
    faster = bootstrap([length.total_seconds() * 1_000 / each for each in taken], median)
    return [
        Figure(name="time replayed / time taken", unit=Unit.RATIO, interval=faster, is_headline=True),
        Figure(name="all rules, all minutes", unit=Unit.MILLISECONDS, interval=bootstrap(taken, median)),
    ]


def _events(length: timedelta) -> Iterator[Event]:
    """Starts and ends of eight agents' executions."""
    dice = random.Random(SEED)  # noqa: S311 - traffic, no secret
    at, number = timedelta(0), 0
    while (at := at + timedelta(hours=dice.expovariate(PER_HOUR))) < length:
        number += 1
        start = Event(
            type=EventType.EXECUTION_STARTED,
            at=START + at // MILLISECOND * MILLISECOND,
            agent_id=f"agent-{number % 8}",
            cli_type=("claude-code", "codex")[number % 2],
            execution_id=f"exec-{number}",
        )
        took = int(dice.expovariate(1 / MEAN_MS))
        yield start
        yield replace(
            start,
            type=END_TYPES["failed" if dice.random() < BAD else "completed"],
            at=start.at + took * MILLISECOND,
            duration_ms=took,
            memory_mb=dice.randrange(200, 700),
            memory_slo_mb=500,
        )


def _follow(happened: list[Event], length: timedelta) -> float:
    """Milliseconds for all rules, each looked at every minute, at every event that it counts and when due."""
    began = time.perf_counter()
    timeline = Timeline(happened)
    steps = [START + number * STEP for number in range(length // STEP)]
    for rule in packaged():
        rehearsal = Rehearsal(rule, defaults(), timeline, START)
        assert sum(1 for _ in rehearsal.run(steps)) == len(steps)  # noqa: S101 - every minute was looked at
    return (time.perf_counter() - began) * 1_000


BENCHMARK = Benchmark(
    name="backtest",
    question="How much faster than it happened can all alert rules be followed through a month?",
    run=run,
)
