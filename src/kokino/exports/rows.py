"""The rows of the dashboard: what each panel asks, and what it says of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from kokino.alerts.conditions import Burn
from kokino.alerts.rule import AlertRule, Severity
from kokino.exports import queries
from kokino.exports.conditions import exported
from kokino.exports.counters import HEARTBEAT
from kokino.exports.own_panels import own_panels
from kokino.exports.panels import (
    BARS,
    BLUE,
    GREEN,
    RED,
    YELLOW,
    Panel,
    Query,
    Row,
    chart,
    listing,
    stat,
    target_line,
)
from kokino.exports.promql import duration
from kokino.slo.model import Objective, Objectives

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
#: How far back "now" reaches where a share is shown: the window of the rule that pages.
CURRENT = HOUR
#: The windows of the burn tiers.
TIERS = (timedelta(minutes=5), timedelta(minutes=30), HOUR, 6 * HOUR, DAY, 3 * DAY)
#: Over which single events are counted for a chart.
RECENT = timedelta(minutes=5)


def rows(rules: Sequence[AlertRule], objectives: Objectives) -> list[Row]:
    """Everything, from the top down."""
    return [
        Row("Now", _now(rules, objectives)),
        Row("Availability", _availability(rules, objectives.availability)),
        Row("Latency", _latency(objectives.latency)),
        Row("What fails", _failures()),
        Row("What is wrong now", _wrong(rules)),
        Row("Memory, correctness, integrity", _others(objectives)),
        Row("The broker itself", own_panels()),
    ]


def firing(rules: Sequence[AlertRule]) -> str:
    """Our alerts of the chosen brokers; the one that always fires tells nothing here."""
    shown = (rule for rule in rules if rule.severity is not Severity.NONE and exported(rule))
    names = "|".join(rule.id for rule in shown)
    alerts = queries.of("ALERTS", f'alertname=~"{names}"', 'alertstate="firing"')
    return f"{alerts} and on (job, instance) {queries.of(HEARTBEAT)}"


def _now(rules: Sequence[AlertRule], objectives: Objectives) -> list[Panel]:
    available = objectives.availability
    share = {"unit": "percentunit", "decimals": 2, "lowest": 0, "highest": 1}
    return [
        stat(
            "Availability, 1 h",
            queries.good_share(available, CURRENT),
            f"Completed over valid executions. Promised: {100 * available.target:g} % over 30 days.",
            steps=((None, RED), (0.99, YELLOW), (available.target, GREEN)),
            **share,
        ),
        stat(
            "Error budget left",
            queries.budget_left(available),
            "Of what may fail within 30 days, or since Prometheus first saw this broker.",
            steps=((None, RED), (0.1, YELLOW), (0.5, GREEN)),
            **share,
        ),
        stat(
            "P95, 5 min",
            f"max({queries.of('headless_latency_p95_ms')}) / 1000",
            "As the broker computes it; an execution that still runs counts with its age.",
            unit="s",
            steps=((None, GREEN), (30, YELLOW), (60, RED)),
        ),
        stat("Running", queries.running(), "Executions that run now.", steps=((None, BLUE),), decimals=0),
        stat(
            "Alerts firing",
            f"count({firing(rules)}) or 0 * {queries.running()}",
            "Of the rules that `kokino export prometheus` writes.",
            steps=((None, GREEN), (1, RED)),
        ),
        stat(
            "Circuits open",
            f"sum({queries.of('headless_circuit_open')}) or 0 * {queries.running()}",
            "Agents that are stopped on a CLI type after failures in a row.",
            steps=((None, GREEN), (1, RED)),
        ),
    ]


def _availability(rules: Sequence[AlertRule], promised: Objective) -> list[Panel]:
    rates = sorted({part.rate for rule in rules for part in rule.conditions if isinstance(part, Burn)})
    told = ", ".join(f"{rate:g}" for rate in rates)
    return [
        chart(
            "Availability",
            [
                Query(queries.good_share(promised, CURRENT), "1 h"),
                Query(queries.good_share(promised, DAY), "1 d"),
                Query(queries.constant(promised.target), "promised"),
            ],
            "A gap: nothing ran.",
            unit="percentunit",
            highest=1,
            overrides=[target_line("promised")],
        ),
        chart(
            "Burn rate",
            [Query(queries.burn_rate(promised, window), duration(window)) for window in TIERS],
            f"How many times faster than allowed the budget goes. Rules look at {told}.",
            lowest=0,
        ),
        chart(
            "Error budget left",
            [Query(queries.budget_left(promised), "left")],
            "Of 30 days, or since Prometheus first saw this broker.",
            unit="percentunit",
            lowest=0,
            highest=1,
        ),
        chart(
            "Executions by how they ended",
            [Query(queries.each("headless_executions_total", "state", RECENT), "{{state}}")],
            "In the five minutes before.",
            custom=BARS,
        ),
    ]


def _latency(promised: Objective) -> list[Panel]:
    limit = 0.0 if promised.threshold is None else promised.threshold.total_seconds()
    return [
        chart(
            "Latency of executions that ended",
            [
                *(Query(queries.quantile(q, RECENT), f"p{100 * q:g}") for q in (0.5, 0.95, 0.99)),
                Query(queries.constant(limit), "promised for p95"),
            ],
            "Of the five minutes before, as near as the histogram's buckets are.",
            unit="s",
            lowest=0,
            overrides=[target_line("promised for p95")],
        ),
        chart(
            f"Share within {limit:g} s",
            [
                Query(queries.good_share(promised, HOUR), "1 h"),
                Query(queries.good_share(promised, promised.window), duration(promised.window)),
                Query(queries.constant(promised.target), "promised"),
            ],
            "Of executions that ended. Exact: the histogram has this edge.",
            unit="percentunit",
            highest=1,
            overrides=[target_line("promised")],
        ),
        chart(
            "Running for longer than",
            [
                Query(
                    f"sum by (than) ({queries.of('headless_executions_running_longer', than)})",
                    "{{than}} s",
                )
                for than in ('than=~"30.0|60.0|300.0"',)
            ],
            "What hangs never ends, and is in no histogram.",
            width=24,
            height=6,
        ),
    ]


def _failures() -> list[Panel]:
    failed = 'state=~"failed|lost|refused|timeout"'
    return [
        chart(
            "Failures by kind",
            [Query(queries.each("headless_failures_total", "kind", RECENT), "{{kind}}")],
            "In the five minutes before.",
            custom=BARS,
        ),
        chart(
            "Failures by CLI type",
            [Query(queries.each("headless_executions_total", "cli_type", RECENT, failed), "{{cli_type}}")],
            "In the five minutes before.",
            custom=BARS,
        ),
    ]


def _wrong(rules: Sequence[AlertRule]) -> list[Panel]:
    return [
        listing("Alerts", firing(rules), "Firing now."),
        listing(
            "Open circuits",
            f"sum by (agent, cli_type) ({queries.of('headless_circuit_open')})",
            "kokino tells when the next try goes through: GET /agents/circuits/status.",
        ),
        listing(
            "Degraded environments",
            f"sum by (cli_type) ({queries.of('headless_environment_degraded')})",
            "kokino doctor tells what is missing.",
        ),
        listing(
            "Locks that are held too long",
            f"sum by (agent) ({queries.of('headless_lock_overdue')})",
            "GET /agents/sessions/status tells by what.",
        ),
    ]


def _others(objectives: Objectives) -> list[Panel]:
    resources, correctness = objectives.resources, objectives.correctness
    return [
        chart(
            "Memory, mean of peaks",
            [Query(queries.mean_memory(HOUR), "{{cli_type}}")],
            "Of executions that ended in the hour before: their whole process trees.",
            unit="mbytes",
            lowest=0,
        ),
        chart(
            "Within their limit, and matching",
            [
                Query(queries.good_share(resources, resources.window), "memory"),
                Query(queries.good_share(correctness, DAY), "shadow comparisons, 1 d"),
                Query(queries.constant(resources.target), "memory promised"),
                Query(queries.constant(correctness.target), "matches promised"),
            ],
            "A gap: nothing was measured.",
            unit="percentunit",
            highest=1,
            overrides=[target_line("memory promised"), target_line("matches promised")],
        ),
        chart(
            "Damaged data",
            [
                Query(f"sum({queries.of('headless_data_damaged')}) or 0 * {queries.running()}", "damaged"),
                Query(
                    queries.each("headless_checked_conversations_total", "result", DAY, 'result="faulty"'),
                    "faulty conversations found in a day",
                ),
            ],
            "1 from the first fault until a check finds nothing.",
            width=24,
            height=6,
            lowest=0,
        ),
    ]
