"""What a look at every alert rule costs, with a hundred thousand events and with ten million."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, case, func, select

from benchmarks.result import Benchmark, Figure, Unit
from benchmarks.statistics import bootstrap, median
from benchmarks.telemetry_month import ENDS, fill
from kokino.alerts.look import look, unseen
from kokino.alerts.module import AlertRules
from kokino.alerts.observe import Labels, View
from kokino.alerts.rulefile import packaged
from kokino.alerts.stored import Stored
from kokino.clock import MILLISECOND
from kokino.executions.store import users_running
from kokino.slo.defaults import defaults
from kokino.slo.model import SloId
from kokino.storage import Storage, open_storage
from kokino.storage.schema import events
from kokino.telemetry.model import BAD_ENDS, GOOD_ENDS, Counts, EventType, Memory
from kokino.testing.ids import SequentialIds

#: Events of thirty days.
FEW, MANY = 100_000, 10_000_000
QUICK_FEW, QUICK_MANY = 2_000, 20_000
#: Looks at all rules in each database, by the product and by the naive query.
ROUNDS, NAIVE_ROUNDS, QUICK_ROUNDS = 60, 3, 2
#: The instant of the look is moved by this from round to round: windows with edges in the middle of a minute.
STEP = timedelta(seconds=7, milliseconds=301)

#: Milliseconds of each way.
Round = Mapping[str, float]


class Naive(Stored):
    """Counts in the events themselves, as one would without rollups."""

    def counts(self, view: View, since: datetime, until: datetime, labels: Labels) -> Counts:
        good: ColumnElement[bool] = events.c.type.in_(sorted(GOOD_ENDS))
        bad: ColumnElement[bool] = events.c.type.in_(sorted(BAD_ENDS))
        if view.slo is SloId.CORRECTNESS:
            good = events.c.type == EventType.SHADOW_SUCCESS
            bad = events.c.type == EventType.SHADOW_MISMATCH
        elif view.within is not None:
            is_quick = events.c.duration_ms <= view.within // MILLISECOND
            good, bad = (good | bad) & is_quick, (good | bad) & ~is_quick
        counted = self._summed(since, until, good, bad)
        return Counts(good=counted[0], bad=counted[1])

    def memory(self, since: datetime, until: datetime, labels: Labels) -> Memory:
        is_within = events.c.memory_mb <= events.c.memory_slo_mb
        within, over = self._summed(since, until, is_within, ~is_within)
        total = select(func.coalesce(func.sum(events.c.memory_mb), 0)).where(*_in(since, until))
        return Memory(within=within, over=over, sum_mb=self.conn.execute(total).scalar_one())

    def _summed(self, since: datetime, until: datetime, *what: ColumnElement[bool]) -> list[int]:
        sums = [func.coalesce(func.sum(case((each, 1), else_=0)), 0) for each in what]
        return [int(number) for number in self.conn.execute(select(*sums).where(*_in(since, until))).one()]


def _in(since: datetime, until: datetime) -> tuple[ColumnElement[bool], ...]:
    return events.c.label.is_(None), events.c.at >= since, events.c.at < until


async def run(folder: Path, is_quick: bool) -> list[Figure]:
    """Look at all rules in both databases, in turn."""
    sizes = {"few": QUICK_FEW, "many": QUICK_MANY} if is_quick else {"few": FEW, "many": MANY}
    opened = {name: await _opened(folder / f"{name}.db", count) for name, count in sizes.items()}
    try:
        rounds = [await _round(opened, number) for number in range(QUICK_ROUNDS if is_quick else ROUNDS)]
        naive = [await _naive(opened, number) for number in range(QUICK_ROUNDS if is_quick else NAIVE_ROUNDS)]
    finally:
        for storage in opened.values():
            await storage.close()
    return _figures(rounds, naive, sizes)


async def _opened(path: Path, count: int) -> Storage:
    await fill(path, count)
    storage = await open_storage(f"sqlite:///{path}")
    # The alerts themselves are written once, and caches fill.
    await _rules(storage).run(ENDS - STEP)
    return storage


def _rules(storage: Storage) -> AlertRules:
    return AlertRules(storage, SequentialIds(), packaged(), defaults(), knows_running=users_running)


async def _round(opened: Mapping[str, Storage], number: int) -> Round:
    """As a broker does that has just started: every rule is due."""
    now = ENDS - STEP * (number + 2)
    order = list(opened.items())[:: 1 if number % 2 else -1]
    return {name: await _timed(partial(_rules(storage).run, now)) for name, storage in order}


async def _naive(opened: Mapping[str, Storage], number: int) -> Round:
    """The same looks on raw events."""
    now = ENDS - STEP * (number + 2)
    return {
        name: await _timed(partial(storage.read, partial(_look, now=now))) for name, storage in opened.items()
    }


def _look(conn: Connection, now: datetime) -> None:
    source = Naive(conn, users_running)
    for rule in packaged():
        for labels in source.bearers(rule, now + MILLISECOND):
            alert = unseen(rule, labels, now=now, alert_id="naive")
            look(rule, defaults(), alert, source, now=now, episode_id="naive")


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) * 1_000


# --- what was found ---------------------------------------------------------------------------------------


def _figures(rounds: Sequence[Round], naive: Sequence[Round], sizes: Mapping[str, int]) -> list[Figure]:
    few, many = (f"{count:,} events" for count in sizes.values())
    flat = bootstrap([each["many"] / each["few"] for each in rounds], median)
    product = median([each["many"] for each in rounds])
    saved = bootstrap([each["many"] / product for each in naive], median)
    return [
        Figure(name=f"all rules, {many} / {few}", unit=Unit.RATIO, interval=flat, is_headline=True),
        Figure(name=f"naive / all rules, {many}", unit=Unit.RATIO, interval=saved, is_headline=True),
        *(
            Figure(
                name=f"{what}, {count:,} events",
                unit=Unit.MILLISECONDS,
                interval=bootstrap([each[name] for each in found], median),
            )
            for what, found in (("all rules", rounds), ("naive", naive))
            for name, count in sizes.items()
        ),
    ]


BENCHMARK = Benchmark(
    name="rule-table",
    question="How much longer does a look at all alert rules take where a hundred times as much happened?",
    run=run,
)
