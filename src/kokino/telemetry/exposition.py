"""The text of ``/metrics``: what the database knows of executions, and what our own process counts.

Counters and histogram are read from sums that are never deleted: they grow through restarts and retention.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.metrics import disable_created_metrics
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from kokino.clock import MILLISECOND
from kokino.telemetry import rollup_store, rule_metrics, window_store
from kokino.telemetry.histogram import EXACT_EDGES, Histogram
from kokino.telemetry.model import Running, Scope, Totals

# When a counter began is none of a scrape's business, and would double the number of its series.
disable_created_metrics()  # type: ignore[no-untyped-call] # the library left it so

#: Media type of `render`'s text.
CONTENT_TYPE = CONTENT_TYPE_LATEST
#: What `headless_availability` looks back over: the window of `availability-slo-breach`.
AVAILABILITY_WINDOW = timedelta(hours=1)
#: What `headless_latency_p95_ms` looks back over: the window of `latency-slo-breach`.
LATENCY_WINDOW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one scrape shows."""

    #: Completed over valid executions of the last hour; None without any.
    availability: float | None
    #: The 95th percentile of the last 5 minutes; None without any.
    latency_p95_ms: int | None
    #: Everything since the first event, by CLI type.
    ever: Mapping[str, Totals]
    #: What alert rules look at beside these.
    rules: rule_metrics.Known


def snapshot(conn: Connection, *, now: datetime, running: Sequence[Running] = ()) -> Snapshot:
    """Read a scrape's values; `running` are the users' executions that still run."""
    until = now + MILLISECOND
    latest = rollup_store.totals(conn, until - LATENCY_WINDOW, until, Scope.ALL).durations
    ever = rollup_store.ever(conn)
    return Snapshot(
        availability=window_store.counts(conn, until - AVAILABILITY_WINDOW, until).ratio,
        latency_p95_ms=(latest + _slow([now - one.started_at for one in running])).quantile(0.95),
        ever=ever,
        rules=rule_metrics.known(conn, ever=ever, running=running, now=now),
    )


def render(
    shown: Snapshot | None, own: CollectorRegistry = REGISTRY, *, more: Sequence[Collector] = ()
) -> bytes:
    """The whole text: executions, unless they cannot be told, `more`, and what `own` has of our process."""
    told = CollectorRegistry()
    if shown is not None:
        told.register(Executions(shown))
        told.register(rule_metrics.RuleMetrics(shown.rules))
    for collector in more:
        told.register(collector)
    return generate_latest(told) + generate_latest(own)


#: An execution that runs longer than this counts with its age: a hung CLI never ends.
SLOW = timedelta(seconds=30)


def _slow(running: Sequence[timedelta]) -> Histogram:
    return Histogram.of([age // MILLISECOND for age in running if age > SLOW])


class Executions(Collector):
    """How executions ended and how long they took, as metric families."""

    def __init__(self, shown: Snapshot) -> None:
        self._shown = shown

    def collect(self) -> Iterator[Metric]:
        shown = self._shown
        yield _gauge(
            "headless_availability", "Completed over valid executions of the last hour.", shown.availability
        )
        yield _gauge(
            "headless_latency_p95_ms", "95th percentile of the last 5 minutes, in ms.", shown.latency_p95_ms
        )
        yield _ends(shown.ever)
        yield _durations(shown.ever)


def _gauge(name: str, documentation: str, value: float | None) -> Metric:
    """NaN, not 0 and not 1, says that there is no data."""
    family = GaugeMetricFamily(name, documentation)
    family.add_metric([], math.nan if value is None else value)
    return family


def _ends(ever: Mapping[str, Totals]) -> Metric:
    family = CounterMetricFamily(
        "headless_executions", "Users' executions that ended, by end state.", labels=["state", "cli_type"]
    )
    for cli_type, sums in sorted(ever.items()):
        for state, count in sorted(sums.states.items()):
            family.add_metric([state, cli_type], count)
    return family


def _durations(ever: Mapping[str, Totals]) -> Metric:
    family = HistogramMetricFamily(
        "headless_execution_duration_seconds", "How long users' executions ran.", labels=["cli_type"]
    )
    for cli_type, sums in sorted(ever.items()):
        family.add_metric([cli_type], _buckets(sums.durations), sums.duration_sum.total_seconds())
    return family


def _buckets(durations: Histogram) -> list[tuple[str, float]]:
    exact = [(str(edge / 1000), float(durations.within(edge))) for edge in EXACT_EDGES]
    return [*exact, ("+Inf", float(durations.count))]
