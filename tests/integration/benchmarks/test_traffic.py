"""The simulation leaves out only looks that change nothing, and its traffic is what the product would see."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from benchmarks.traffic import DAY, HOUR, Traffic, Watch, instant, most_that_prove
from kokino.alerts.gate import weigh
from kokino.alerts.model import Transition
from kokino.alerts.rehearse import rehearsal
from kokino.alerts.rulefile import packaged_rule
from kokino.slo.defaults import defaults
from kokino.telemetry.model import END_TYPES, Counts, Event

RULES = ("availability-slo-breach", "availability-budget-burn")


def traffic(seed: int, per_hour: float) -> Traffic:
    """Two days: kept for a while, then broken, then kept again, so that alerts fire and resolve."""
    made, dice = Traffic(), random.Random(seed)
    for hours, bad in ((12, 0.02), (14, 0.3), (30, 0.01), (31, 1.0), (48, 0.005)):
        made.add(dice, hours * HOUR, per_hour=per_hour, bad=bad)
    return made


def events(of: Traffic) -> Iterator[Event]:
    """The same as the product's events."""
    failed = list(of.bads)
    for at in of.ends:
        is_bad = bool(failed) and failed[0] == at
        if is_bad:
            failed.pop(0)
        yield Event(
            type=END_TYPES["failed" if is_bad else "completed"], at=instant(at), agent_id="a", cli_type="c"
        )


def told(changes: Sequence[Transition]) -> list[tuple[object, ...]]:
    """All that matters of changes; episodes are numbered by looks."""
    return [(each.at, each.from_state, each.to_state, each.reason, each.measured) for each in changes]


@pytest.mark.parametrize("rule_id", RULES)
@pytest.mark.parametrize(("seed", "per_hour"), [(1, 1), (2, 4), (3, 10)])
def test_the_looks_that_are_left_out_change_nothing(rule_id: str, seed: int, per_hour: float) -> None:
    """Looking at every execution, as the engine does, leads to the same changes at the same milliseconds."""
    rule = packaged_rule(rule_id)
    thrifty = Watch(rule, traffic(seed, per_hour), probed_after=HOUR)
    thorough = Watch(rule, traffic(seed, per_hour), probed_after=HOUR, looks_at_all=True)
    changes = list(thrifty.changes())
    assert told(changes) == told(list(thorough.changes()))
    assert changes
    assert thrifty.looks < thorough.looks


@pytest.mark.parametrize("rule_id", RULES)
def test_the_traffic_is_seen_as_the_product_sees_it(rule_id: str) -> None:
    """The same executions as events on a timeline give the same changes."""
    rule, made = packaged_rule(rule_id), traffic(7, 10)
    rehearsed = rehearsal(rule, events(made), defaults())
    end = instant(made.ends[-1])
    assert list(rehearsed.run([end])) == [end]
    changes = [change for change in Watch(rule, made).changes() if change.at <= end]
    assert told(changes) == told(rehearsed.changes)
    assert changes


@pytest.mark.parametrize("failed", range(1, 12))
def test_the_most_executions_among_which_failures_prove_something(failed: int) -> None:
    """One more, and the gate keeps them back."""
    most, gate = most_that_prove(failed, 0.005, 0.001), {"p": 0.005, "alpha": 0.001}
    if most >= failed:
        assert weigh(Counts(good=most - failed, bad=failed), **gate).is_enough
    assert not weigh(Counts(good=max(0, most + 1 - failed), bad=failed), **gate).is_enough


def test_traffic_comes_at_its_rate_and_fails_at_its_share() -> None:
    """Within five standard deviations of both."""
    made = Traffic()
    made.add(random.Random(8), 100 * DAY, per_hour=10, bad=0.1)
    assert abs(len(made.ends) - 24_000) < 5 * 24_000**0.5
    assert abs(len(made.bads) - 2_400) < 5 * 2_400**0.5
    assert made.ends == sorted(made.ends)
    assert set(made.bads) <= set(made.ends)
    assert made.ends[-1] < 100 * DAY
