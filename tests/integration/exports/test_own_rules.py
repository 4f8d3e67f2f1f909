"""Rules that nobody ships, with what the shipped ones do not use: a real Prometheus judges them as we do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from kokino.alerts.rehearse import START
from kokino.alerts.rule import AlertRule
from kokino.alerts.rulefile import read_rule
from kokino.errors import Fault
from kokino.exports.ledger import every
from tests.integration.exports.promtool import differences
from tests.integration.exports.streams import MINUTE, SECOND, Stream, failing, hungry, slow
from tests.integration.exports.test_differential import ours, seen

NONE = timedelta(0)
RULE = """
apiVersion: kokino/v1
kind: AlertRule
id: own
title: A rule of somebody's own
severity: P3
owner: "@somebody"
"""
ON_AND_OFF = [(number * 10 * MINUTE, float(number % 2)) for number in range(9)]
OUTAGES = failing(20 * SECOND, 90 * MINUTE, [(at, 0.6 * chance) for at, chance in ON_AND_OFF])
#: Nothing runs for a while between two stretches of traffic.
BREAKS = failing(3 * MINUTE, 90 * MINUTE, [(NONE, 0.5)])

OWN = {
    "one alert for each CLI type": (
        """
slo: availability
by: [cli_type]
conditions: [{id: low, kind: rate, below: 0.8, window: 10m, min_bad: 3}]
resolve: {kind: rate, at_least: 0.9, window: 5m, min_successes: 3}
""",
        OUTAGES,
    ),
    "it must last before it fires, and be over for a while before it resolves": (
        """
slo: availability
pending_for: 2m
conditions: [{id: low, kind: rate, below: 0.8, window: 5m}]
resolve: {kind: rate, at_least: 0.9, window: 3m, min_successes: 3, hold: 2m}
""",
        OUTAGES,
    ),
    "over when no condition holds, for a while": (
        """
slo: availability
conditions: [{id: low, kind: rate, below: 0.8, window: 5m}]
resolve: {kind: quiet, hold: 1m}
""",
        OUTAGES,
    ),
    "silence is a breach": (
        """
slo: availability
no_data: alert
conditions: [{id: low, kind: rate, below: 0.2, window: 2m}]
resolve: {kind: rate, at_least: 0.5, window: 4m, min_successes: 1}
""",
        BREAKS,
    ),
    "silence is health": (
        """
slo: availability
no_data: ok
conditions: [{id: low, kind: rate, below: 0.9, window: 5m}]
resolve: {kind: rate, at_least: 0.99, window: 4m, min_successes: 1}
""",
        BREAKS,
    ),
    "memory by CLI type, over when nothing runs": (
        """
slo: resources
by: [cli_type]
no_data: ok
conditions: [{id: high, kind: mean, of: memory_mb, above: 900, window: 10m, min_count: 2}]
resolve: {kind: mean, below: 700, window: 5m, min_count: 2}
""",
        hungry(45 * SECOND, 90 * MINUTE, [(at, 300 + 1000 * high) for at, high in ON_AND_OFF]),
    ),
    "the budget of latency, by CLI type": (
        """
slo: latency
by: [cli_type]
conditions: [{id: burns, kind: burn, rate: 6, long: 20m, short: 5m}]
resolve: {kind: rate, at_least: 0.9, window: 5m, min_successes: 5}
""",
        slow(10 * SECOND, 90 * MINUTE, ON_AND_OFF, quick_ms=30_000),
    ),
}


def read(text: str) -> AlertRule:
    """The rule with these conditions."""
    faults: list[Fault] = []
    rule = read_rule("own.yaml", RULE + text, faults)
    assert rule is not None, faults
    return rule


@pytest.mark.parametrize(("text", "stream"), OWN.values(), ids=OWN.keys())
def test_prometheus_judges_a_rule_of_ones_own_as_we_do(text: str, stream: Stream, tmp_path: Path) -> None:
    """Its labels, holds and what silence means are exported too."""
    rule, events = read(text), stream(Random(1))
    grid = every(15 * SECOND, START, START + 100 * MINUTE)
    run = ours(rule, events, grid)
    assert len(run.changes) >= 4
    assert differences(rule, events, seen(run, grid), tmp_path, interval=15 * SECOND) == ""
