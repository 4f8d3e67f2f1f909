"""How often the availability rules tell of nothing, and how soon they tell of an outage: by simulation.

Not a measurement of speed: the figures are the same on every machine. docs/alerting.md has them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.best_test import missed
from benchmarks.result import Benchmark, Figure, Unit
from benchmarks.statistics import Interval, bootstrap, median, proportion
from benchmarks.traffic import DAY, HOUR, MINUTE, Traffic, Watch, ms_of
from kokino.alerts.model import Phase
from kokino.alerts.rule import AlertRule
from kokino.alerts.rulefile import packaged_rule

PAGE, WARNING = packaged_rule("availability-slo-breach"), packaged_rule("availability-budget-burn")
#: Executions an hour.
RATES = (1, 4, 10, 60)
#: What fails at the worst that keeps the SLO.
KEPT = 0.005
#: Shares that fail in an outage of a day.
OUTAGES = (0.2, 0.5, 1.0)
#: Where a day's outage may be missed by any rule.
LOWEST = 1
#: Months, and outages of each kind, at each rate.
REPLICATES, QUICK_REPLICATES = 1_000, 4
MONTH = 30 * DAY
#: An outage begins after a day of health, and lasts one.
BEGINS, ENDS = DAY, 2 * DAY
#: Somebody who was paged for nothing sees so by three good probes after this long: the alert is over soon, so
#: that the next false page is another one.
PROBED_AFTER = 10 * MINUTE
#: Every run draws the same traffic.
SEED = 20260105


async def run(_folder: Path, is_quick: bool) -> list[Figure]:
    """Simulate every rate."""
    count = QUICK_REPLICATES if is_quick else REPLICATES
    pages = {rate: [_false(PAGE, rate, number) for number in range(count)] for rate in RATES}
    return [
        *(_mean(f"false pages, {rate} an hour", pages[rate], is_headline=True) for rate in RATES),
        *(figure for rate in RATES for share in OUTAGES for figure in _outage(rate, share, count)),
        *_best(sum(pages[LOWEST]) / count),
        *(_warnings(rate, count) for rate in RATES),
    ]


def _traffic(name: str, rate: float) -> tuple[random.Random, Traffic]:
    """The same for every rule that is tried on it, and another for each name."""
    return random.Random(f"{SEED} {name} {rate}"), Traffic()  # noqa: S311 - traffic, no secret


def _false(rule: AlertRule, rate: float, number: int) -> int:
    """How often the rule fires in a month that keeps the SLO."""
    dice, traffic = _traffic(f"month {number}", rate)
    traffic.add(dice, MONTH, per_hour=rate, bad=KEPT)
    watch = Watch(rule, traffic, probed_after=PROBED_AFTER if rule is PAGE else None)
    return sum(change.to_state is Phase.FIRING for change in watch.changes())


def _paged_after(rate: float, share: float, number: int) -> int | None:
    """Milliseconds from the beginning of an outage to its page; None when it ended without one."""
    dice, traffic = _traffic(f"outage {share} {number}", rate)
    traffic.add(dice, BEGINS, per_hour=rate, bad=KEPT)
    traffic.add(dice, ENDS, per_hour=rate, bad=share)
    fired_at: int | None = None
    for change in Watch(PAGE, traffic, probed_after=PROBED_AFTER).changes():
        if (at := ms_of(change.at)) >= ENDS:
            break
        fired_at = at if change.to_state is Phase.FIRING else None
        if fired_at is not None and at >= BEGINS:
            break
    # Where it fired for nothing just before, somebody is there already.
    return None if fired_at is None else max(0, fired_at - BEGINS)


# --- what was found ---------------------------------------------------------------------------------------


def _mean(name: str, counts: Sequence[int], *, is_headline: bool = False) -> Figure:
    interval = bootstrap([float(count) for count in counts], lambda drawn: sum(drawn) / len(drawn))
    return Figure(name=name, unit=Unit.PER_MONTH, interval=interval, is_headline=is_headline)


def _outage(rate: float, share: float, count: int) -> Iterator[Figure]:
    """Outages that were missed count as long as they lasted."""
    paged = [_paged_after(rate, share, number) for number in range(count)]
    minutes = [(ENDS - BEGINS if after is None else after) / MINUTE for after in paged]
    name = f"{share:.0%} fail, {rate} an hour"
    yield Figure(
        name=f"{name}, paged after, median",
        unit=Unit.MINUTES,
        interval=bootstrap(minutes, median),
        is_headline=share == 1.0,
    )
    lost = proportion(paged.count(None), count)
    yield Figure(name=f"{name}, missed", unit=Unit.PERCENT, interval=_percent(lost), is_headline=True)


def _best(false_pages: float) -> Iterator[Figure]:
    """At the rate at which some are missed: what the best test misses with as many false pages."""
    for share in OUTAGES:
        found = 100 * missed(
            mean=LOWEST * DAY / HOUR, kept=KEPT, broken=share, false_alarms=false_pages / (MONTH / DAY)
        )
        interval = Interval(value=found, low=found, high=found)
        name = f"{share:.0%} fail, {LOWEST} an hour, missed by the best test"
        yield Figure(name=name, unit=Unit.PERCENT, interval=interval)


def _warnings(rate: float, count: int) -> Figure:
    return _mean(f"false warnings, {rate} an hour", [_false(WARNING, rate, n) for n in range(count)])


def _percent(share: Interval) -> Interval:
    return Interval(value=100 * share.value, low=100 * share.low, high=100 * share.high)


BENCHMARK = Benchmark(
    name="alert-simulation",
    question="How often do the availability rules tell of nothing, and how soon do they tell of an outage?",
    run=run,
)
