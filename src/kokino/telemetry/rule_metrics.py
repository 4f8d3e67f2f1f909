"""The metrics that alert rules need beside ends and durations, so that a Prometheus can judge as we do.

Read from sums that are never deleted, from the last event of each type, and from what runs: a scrape costs
the same after ten million events as after ten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from kokino.clock import MILLISECOND
from kokino.telemetry import latest_store, rollup_store
from kokino.telemetry.histogram import EXACT_EDGES
from kokino.telemetry.latest_store import Latest
from kokino.telemetry.model import Counts, EventType, Running, Scope, Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Something that is so since one event, until another: a gauge with a 1 for each that it is so of."""

    #: Of the metric.
    name: str
    documentation: str
    raised_by: frozenset[str]
    lowered_by: frozenset[str]
    #: What tells one from the others: of ``agent`` and ``cli_type``.
    labels: tuple[str, ...]

    @property
    def types(self) -> frozenset[str]:
        """All events that can change it."""
        return self.raised_by | self.lowered_by


LEVELS = (
    Level(
        name="headless_circuit_open",
        documentation="1 while an agent is stopped on a CLI type after failures in a row.",
        raised_by=frozenset({EventType.CIRCUIT_OPENED}),
        lowered_by=frozenset({EventType.CIRCUIT_CLOSED, EventType.AGENT_REMOVED}),
        labels=("agent", "cli_type"),
    ),
    Level(
        name="headless_environment_degraded",
        documentation="1 while a CLI type lacks what it needs, as the doctor found.",
        raised_by=frozenset({EventType.ENV_DEGRADED}),
        lowered_by=frozenset({EventType.ENV_RESTORED}),
        labels=("cli_type",),
    ),
    Level(
        name="headless_lock_overdue",
        documentation="1 while an agent is locked for too long.",
        raised_by=frozenset({EventType.LOCK_TIMEOUT}),
        lowered_by=frozenset(
            {
                EventType.EXECUTION_COMPLETED,
                EventType.EXECUTION_FAILED,
                EventType.EXECUTION_TIMEOUT,
                EventType.EXECUTION_CANCELLED,
                EventType.EXECUTION_LOST,
                EventType.AGENT_REMOVED,
            }
        ),
        labels=("agent",),
    ),
    Level(
        name="headless_data_damaged",
        documentation="1 from a conversation with a fault, or an orphaned turn, until a check finds nothing.",
        raised_by=frozenset({EventType.CONVERSATION_INTEGRITY_FAIL, EventType.ORPHAN_DETECTED}),
        lowered_by=frozenset({EventType.INTEGRITY_CHECK_PASSED}),
        labels=(),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What one scrape shows of it."""

    #: Everything since the first event, by CLI type.
    ever: Mapping[str, Totals]
    #: Comparisons of shadow mode that match, and conversations without a fault.
    comparisons: Counts
    conversations: Counts
    #: By the name of a level: the labels of those that it is so of.
    raised: Mapping[str, Sequence[tuple[str, ...]]]
    #: How long each of the users' executions that still runs has run so far, by CLI type.
    ages: Mapping[str, Sequence[timedelta]] = field(default_factory=dict)


def known(
    conn: Connection, *, ever: Mapping[str, Totals], running: Sequence[Running], now: datetime
) -> Known:
    """Read a scrape's values, but for `ever` and `running`, which the caller knows."""
    latest = latest_store.of_types(conn, frozenset[str]().union(*(level.types for level in LEVELS)))
    return Known(
        ever=ever,
        comparisons=_counted(conn, Scope.SHADOW),
        conversations=_counted(conn, Scope.CHECKS),
        raised={level.name: raised(level, latest) for level in LEVELS},
        ages=ages(running, now),
    )


def raised(level: Level, latest: Iterable[Latest]) -> list[tuple[str, ...]]:
    """The labels for which the last of all events of a level is one that raises it."""
    last: dict[tuple[str, ...], Latest] = {}
    for one in latest:
        if one.type in level.types:
            key = _labels(level.labels, one)
            last[key] = max(one, last.get(key, one))
    return sorted(key for key, one in last.items() if one.type in level.raised_by)


def ages(running: Iterable[Running], now: datetime) -> dict[str, list[timedelta]]:
    """How long each one has run at `now`, by CLI type."""
    found: dict[str, list[timedelta]] = {}
    for one in running:
        found.setdefault(one.cli_type, []).append(now - one.started_at)
    return found


def _counted(conn: Connection, scope: Scope) -> Counts:
    return rollup_store.ever(conn, scope).get("", Totals()).counts


def _labels(names: Collection[str], one: Latest) -> tuple[str, ...]:
    values = {"agent": one.agent_id, "cli_type": one.cli_type}
    return tuple(values[name] for name in names)


class RuleMetrics(Collector):
    """What is `Known` as metric families."""

    def __init__(self, shown: Known) -> None:
        self._shown = shown

    def collect(self) -> Iterator[Metric]:
        shown = self._shown
        yield _failures(shown.ever)
        yield _peaks(shown.ever)
        yield _peak_results(shown.ever)
        yield _results(
            "headless_shadow_comparisons",
            "Comparisons of shadow mode, by result.",
            {"match": shown.comparisons.good, "mismatch": shown.comparisons.bad},
        )
        yield _results(
            "headless_checked_conversations",
            "Conversations that integrity checks looked at, by result.",
            {"whole": shown.conversations.good, "faulty": shown.conversations.bad},
        )
        yield from (_level(level, shown.raised.get(level.name, ())) for level in LEVELS)
        yield from _running(shown.ages)


def _failures(ever: Mapping[str, Totals]) -> Metric:
    family = CounterMetricFamily(
        "headless_failures", "Users' executions that count as bad, by kind.", labels=["kind", "cli_type"]
    )
    for cli_type, sums in sorted(ever.items()):
        for kind, count in sorted(sums.kinds.items()):
            family.add_metric([kind, cli_type], count)
    return family


def _peaks(ever: Mapping[str, Totals]) -> Metric:
    family = SummaryMetricFamily(
        "headless_execution_memory_peak_mb",
        "The most memory that a user's execution took at one time, its whole process tree, in MiB.",
        labels=["cli_type"],
    )
    for cli_type, sums in sorted(ever.items()):
        family.add_metric([cli_type], count_value=sums.memory.count, sum_value=sums.memory.sum_mb)
    return family


def _peak_results(ever: Mapping[str, Totals]) -> Metric:
    family = CounterMetricFamily(
        "headless_execution_memory_peaks",
        "Users' executions whose memory was measured, by whether they stayed within their CLI type's limit.",
        labels=["result", "cli_type"],
    )
    for cli_type, sums in sorted(ever.items()):
        family.add_metric(["within", cli_type], sums.memory.within)
        family.add_metric(["over", cli_type], sums.memory.over)
    return family


def _results(name: str, documentation: str, counts: Mapping[str, int]) -> Metric:
    """Those that never happened are shown with 0: a series that appears with its first one hides it."""
    family = CounterMetricFamily(name, documentation, labels=["result"])
    for result, count in counts.items():
        family.add_metric([result], count)
    return family


def _level(level: Level, raised: Iterable[tuple[str, ...]]) -> Metric:
    family = GaugeMetricFamily(level.name, level.documentation, labels=level.labels)
    for labels in raised:
        family.add_metric(labels, 1)
    return family


def _running(ages: Mapping[str, Sequence[timedelta]]) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "headless_executions_running",
        "Users' executions that run now.",
        value=sum(map(len, ages.values())),
    )
    family = GaugeMetricFamily(
        "headless_executions_running_longer",
        "Users' executions that run now and have for longer than so many seconds.",
        labels=["than", "cli_type"],
    )
    for cli_type, found in sorted(ages.items()):
        for edge in EXACT_EDGES:
            family.add_metric([str(edge / 1000), cli_type], sum(age > edge * MILLISECOND for age in found))
    yield family
