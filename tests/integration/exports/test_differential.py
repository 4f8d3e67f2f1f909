"""The same events for our own code and for a real Prometheus: both fire and resolve at the same instants.

Prometheus looks at a grid of instants: each change must be there one interval after the first of them that is
not before it. Where only time passes our own code would look up to a minute later (`alerts.schedule`), so it
is asked when Prometheus is. It is asked without its evidence gate, which is not exported; that the gate
explains all that the shipped rules do otherwise is asserted beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import pytest

from kokino.alerts.conditions import Condition, OfLevel, long_window
from kokino.alerts.evaluate import evaluate
from kokino.alerts.gate import weigh
from kokino.alerts.model import Alert, Phase
from kokino.alerts.observe import Measurements, measure, view_of
from kokino.alerts.rehearse import START, Rehearsal, rehearsal
from kokino.alerts.rule import AlertRule
from kokino.alerts.rulefile import packaged, packaged_rule
from kokino.exports.conditions import exported
from kokino.exports.ledger import every
from kokino.exports.unit_tests import as_prometheus_judges
from kokino.slo.defaults import defaults
from kokino.telemetry.model import Event, EventType
from tests.integration.exports.promtool import differences
from tests.integration.exports.streams import (
    HOUR,
    MINUTE,
    SECOND,
    Phases,
    Stream,
    compared,
    ended,
    failing,
    hungry,
    levels,
    slow,
)

NONE, DAY = timedelta(0), 24 * HOUR
SEEDS = (1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A stream of events for a rule."""

    rule: str
    name: str
    stream: Stream
    length: timedelta
    #: So many changes of its alerts there are at least: with fewer the stream would prove nothing.
    changes: int
    #: How often Prometheus scrapes and evaluates.
    interval: timedelta = 15 * SECOND


def flapping(stretch: timedelta, times: int, chance: float) -> Phases:
    """Bad in every third stretch."""
    return [(number * stretch, chance if number % 3 == 1 else 0.0) for number in range(times)]


availability = partial(Case, rule="availability-slo-breach", length=2 * HOUR, interval=30 * SECOND)
latency = partial(Case, rule="latency-slo-breach", length=2 * HOUR)
budget = partial(Case, rule="availability-budget-burn", length=4 * DAY, interval=4 * MINUTE)
correctness = partial(Case, rule="correctness-slo-breach", length=3 * DAY, interval=4 * MINUTE)
memory = partial(Case, rule="resource-efficiency", length=5 * HOUR, interval=30 * SECOND)
level = partial(Case, length=2 * HOUR)

CASES = [
    availability(
        name="steady",
        stream=failing(20 * SECOND, 2 * HOUR, [(NONE, 0.0)]),
        changes=0,
    ),
    availability(
        name="an outage, and a second one while the first is within the hour",
        stream=failing(
            20 * SECOND,
            2 * HOUR,
            [(NONE, 0.001), (20 * MINUTE, 1), (35 * MINUTE, 0), (60 * MINUTE, 1), (70 * MINUTE, 0)],
        ),
        changes=4,
    ),
    availability(
        name="a slow drip",
        stream=failing(10 * SECOND, 2 * HOUR, [(NONE, 0), (30 * MINUTE, 0.04)]),
        changes=1,
    ),
    availability(
        name="flapping",
        stream=failing(15 * SECOND, 2 * HOUR, flapping(4 * MINUTE, 30, 0.7)),
        changes=8,
    ),
    availability(
        name="an execution now and then",
        stream=failing(4 * MINUTE, 2 * HOUR, [(NONE, 0), (20 * MINUTE, 0.5), (80 * MINUTE, 0)]),
        changes=1,
    ),
    latency(
        name="slow for a while",
        stream=slow(10 * SECOND, 2 * HOUR, [(NONE, 0.01), (30 * MINUTE, 0.5), (50 * MINUTE, 0)]),
        changes=2,
    ),
    latency(
        name="flapping",
        stream=slow(10 * SECOND, 2 * HOUR, flapping(7 * MINUTE, 17, 0.8)),
        changes=4,
    ),
    memory(
        name="hungry for a while",
        stream=hungry(MINUTE, 5 * HOUR, [(NONE, 700), (HOUR, 1400), (2 * HOUR, 800)]),
        changes=2,
    ),
    memory(
        # Twice, more than an hour apart: see the last test here.
        name="twice hungry",
        stream=hungry(
            MINUTE, 5 * HOUR, [(number * HOUR, 1600 if number % 2 else 300) for number in range(5)]
        ),
        changes=4,
    ),
    correctness(
        name="comparisons differ for a day",
        stream=compared(10 * MINUTE, 3 * DAY, [(NONE, 0.02), (DAY, 0.3), (2 * DAY, 0.01)]),
        changes=2,
    ),
    budget(
        name="the budget goes a little too fast",
        stream=failing(5 * MINUTE, 4 * DAY, [(NONE, 0.001), (DAY, 0.03), (2 * DAY, 0.001)]),
        changes=2,
    ),
    level(
        rule="circuit-breaker-opened",
        name="circuits",
        stream=levels(
            (
                EventType.CIRCUIT_OPENED,
                EventType.CIRCUIT_HALF_OPENED,
                EventType.CIRCUIT_CLOSED,
                EventType.AGENT_REMOVED,
            ),
            50 * SECOND,
            2 * HOUR,
        ),
        changes=20,
    ),
    level(
        rule="environment-degraded",
        name="environments",
        stream=levels((EventType.ENV_DEGRADED, EventType.ENV_RESTORED), MINUTE, 2 * HOUR),
        changes=20,
    ),
    level(
        rule="lock-timeout",
        name="locks",
        stream=levels(
            (EventType.LOCK_TIMEOUT, EventType.EXECUTION_COMPLETED, EventType.EXECUTION_REFUSED),
            MINUTE,
            2 * HOUR,
        ),
        changes=20,
    ),
    level(
        rule="data-integrity-failure",
        name="faults and checks",
        stream=levels(
            (
                EventType.ORPHAN_DETECTED,
                EventType.CONVERSATION_INTEGRITY_FAIL,
                EventType.INTEGRITY_CHECK_PASSED,
                EventType.INTEGRITY_CHECK_FAILED,
            ),
            2 * MINUTE,
            2 * HOUR,
        ),
        changes=10,
    ),
    Case(rule="watchdog", name="nothing at all", stream=lambda _: [], length=HOUR, changes=1),
]
GATED = [case for case in CASES if packaged_rule(case.rule).gate != "none"]


def named(case: Case) -> str:
    """What pytest calls it."""
    return f"{case.rule}: {case.name}"


def ours(rule: AlertRule, events: Sequence[Event], grid: Sequence[datetime]) -> Rehearsal:
    """Our own code, which looks when something happens, and when Prometheus does."""
    run = rehearsal(rule, events, defaults())
    list(run.run(grid))
    return run


def seen(run: Rehearsal, grid: Sequence[datetime]) -> dict[datetime, list[Alert]]:
    """The alerts that fire at each instant of a grid, but just after a change: Prometheus may be so late."""
    interval = grid[1] - grid[0]
    return {
        now: _firing_at(run, now)
        for now in grid
        if not any(now - interval < change.at < now for change in run.changes)
    }


def _firing_at(run: Rehearsal, now: datetime) -> list[Alert]:
    last = {change.alert_id: change.to_state for change in run.changes if change.at <= now}
    return [alert for alert in run.alerts.values() if last.get(alert.alert_id) is Phase.FIRING]


def test_each_exported_rule_has_a_stream() -> None:
    """A new rule is not exported without being compared."""
    assert {rule.id for rule in packaged() if exported(rule)} == {case.rule for case in CASES}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("case", CASES, ids=named)
def test_prometheus_fires_and_resolves_when_our_own_code_does(case: Case, seed: int, tmp_path: Path) -> None:
    """At each instant at which Prometheus looks, the same alerts fire, with the same labels."""
    rule, events = packaged_rule(case.rule), case.stream(Random(seed))
    grid = every(case.interval, START, START + case.length)
    run = ours(as_prometheus_judges(rule), events, grid)
    assert len(run.changes) >= case.changes
    assert differences(rule, events, seen(run, grid), tmp_path, interval=case.interval) == ""


@pytest.mark.parametrize("case", GATED, ids=named)
def test_what_a_shipped_rule_does_otherwise_is_what_its_gate_explains(case: Case) -> None:
    """On the same counts it fires less, and only where no condition has enough evidence."""
    rule = packaged_rule(case.rule)
    events = case.stream(Random(SEEDS[0]))
    run = rehearsal(rule, events, defaults())
    held_back = 0
    for now in run.run(every(case.length / 400, START, START + case.length)):
        held_back += _is_held_back(rule, run, now)
    assert (held_back > 0) == (case.name != "steady")


def _is_held_back(rule: AlertRule, run: Rehearsal, now: datetime) -> bool:
    """Does the rule fire without its gate, and not with it? Then all that hold lack evidence."""
    [alert] = run.alerts.values()
    objective = defaults().of(rule.slo) if rule.slo is not None else None
    counted = measure(rule, objective, run.timeline, {}, now=now, windows_from=alert.windows_from)
    gated, bare = (
        evaluate(asked, objective, counted, now=now) for asked in (rule, as_prometheus_judges(rule))
    )
    assert bare.fires or not gated.fires
    if bare.fires and not gated.fires:
        for condition in rule.conditions:
            if condition.id in bare.measured.holding:
                assert not _is_enough(rule, condition, counted)
    return bare.fires and not gated.fires


def _is_enough(rule: AlertRule, condition: Condition, counted: Measurements) -> bool:
    assert isinstance(condition, OfLevel)
    assert rule.slo is not None
    assert rule.p is not None
    assert condition.alpha is not None
    counts = counted.counts[view_of(defaults().of(rule.slo), condition), long_window(condition)]
    return weigh(counts, p=rule.p, alpha=condition.alpha).is_enough


def test_what_happens_between_a_resolve_and_the_next_look_is_counted_by_us_alone(tmp_path: Path) -> None:
    """Our windows start anew at the very instant of a resolve, those of Prometheus when it sees it.

    Here ours resolves at 305 s and sees a failure at 306 s; Prometheus resolves at 315 s, and forgets it.
    """
    rule = packaged_rule("availability-slo-breach")
    bad = [ended(Random(1), START + at * SECOND, failed=True) for at in (5, 10, 306)]
    good = [ended(Random(1), START + at * SECOND) for at in range(20, 480, 2)]
    grid = every(15 * SECOND, START, START + 8 * MINUTE)
    run = ours(as_prometheus_judges(rule), [*bad, *good], grid)
    assert [(change.at - START) / SECOND for change in run.changes] == [5, 305, 306]
    [alert] = run.alerts.values()
    as_prometheus_sees = {now: [alert] if 5 <= (now - START) / SECOND < 315 else [] for now in grid}
    compare = partial(differences, rule, [*bad, *good], folder=tmp_path, interval=15 * SECOND)
    assert compare(as_prometheus_sees) == ""
    assert compare(seen(run, grid)) != ""
