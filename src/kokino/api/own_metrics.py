"""The broker's own health as metrics: what its parts count in memory, and one look into the database.

No label names an agent or a caller: what is scraped grows with the configuration alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from kokino import __version__
from kokino.alerts import store as alert_store
from kokino.alerts.model import Phase
from kokino.alerts.module import AlertRules
from kokino.api.services import Services
from kokino.doctor import store as doctor_store
from kokino.doctor.model import Diagnosis
from kokino.escalation import store as escalation_store
from kokino.escalation.model import EscalationState
from kokino.integrity import store as integrity_store
from kokino.integrity.backups import Backup
from kokino.integrity.model import Kind, Report
from kokino.notify import store as outbox
from kokino.notify.model import DeliveryState
from kokino.shadow import store as shadow_store

State = TypeVar("State", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What one look into the database tells of the broker's own work."""

    #: By rule id: how many of its alerts are in each state; only of rules that have any.
    alerts: Mapping[str, Mapping[Phase, int]]
    #: Those that are not finished.
    escalations: Mapping[EscalationState, int]
    #: Deliveries that something still follows for.
    outbox: Mapping[DeliveryState, int]
    #: Since when the oldest of them waits; None without any.
    waiting_since: datetime | None
    #: The last integrity check; None before the first.
    checked: Report | None
    #: The latest diagnosis of each CLI type that agents use.
    diagnoses: Mapping[str, Diagnosis]
    #: Since when what waits longest for a look at the alert rules does; None before anything has.
    unlooked_since: datetime | None
    #: Comparisons of shadow mode that are not over, and whether new ones are begun.
    comparisons: int
    compares: bool


def read(conn: Connection, rules: AlertRules) -> Stored:
    """All that a scrape asks the database for."""
    return Stored(
        alerts=alert_store.states_by_rule(conn),
        escalations=escalation_store.unfinished_by_state(conn),
        outbox=outbox.open_by_state(conn),
        waiting_since=outbox.oldest_waiting(conn),
        checked=next(iter(integrity_store.latest(conn, limit=1)), None),
        diagnoses=doctor_store.everything(conn),
        unlooked_since=rules.waiting_since(conn),
        comparisons=shadow_store.running(conn),
        compares=shadow_store.off(conn) is None,
    )


class OwnHealth(Collector):
    """One scrape; without `stored`, what the database would have told is left out."""

    def __init__(
        self,
        services: Services,
        stored: Stored | None,
        *,
        spool_bytes: int,
        backups: Sequence[Backup],
        now: datetime,
    ) -> None:
        self._services = services
        self._backups = backups
        self._stored = stored
        self._spool_bytes = spool_bytes
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """As metric families."""
        yield from self._broker()
        yield from self._engine()
        yield from self._evaluation()
        yield from self._services.deliveries.tally.collect()
        if self._services.heartbeat is not None:
            yield from self._services.heartbeat.collect()
        yield from self._storage()
        if self._stored is not None:
            yield from self._waiting(self._stored)
            yield from self._alerts(self._stored.alerts)
            yield _by_state("kokino_escalations", "Escalations that go on.", self._stored.escalations)
            yield from self._outbox(self._stored)
            if self._stored.checked is not None:
                yield from _integrity(self._stored.checked)
            yield from _environment(self._stored.diagnoses)
            yield from _shadow(self._stored)
        yield from _backups(self._backups)

    def _broker(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("kokino_build_info", "Always 1; which version runs.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        yield _gauge(
            "kokino_warden_up", "1 while executions can be started.", self._services.warden.fault is None
        )
        yield _gauge("kokino_spool_bytes", "Disk that output takes before it is recorded.", self._spool_bytes)

    def _engine(self) -> Iterator[Metric]:
        health = self._services.engine.health
        runs = _counter("kokino_engine_module_runs", "Runs of an engine module since the start.")
        failures = _counter("kokino_engine_module_failures", "Runs of an engine module that failed.")
        busy = _counter("kokino_engine_module_seconds", "Time that an engine module has taken.")
        took = _of_module("kokino_engine_module_last_run_seconds", "Time that its last run took.")
        up = _of_module("kokino_engine_module_up", "1 when its last run went well.")
        ran = _of_module(
            "kokino_engine_module_last_run_timestamp_seconds",
            "When its last run began, by the broker's clock.",
        )
        for name, module in health.items():
            runs.add_metric([name], module.runs)
            failures.add_metric([name], module.failures)
            busy.add_metric([name], module.busy_seconds)
            took.add_metric([name], module.last_run_seconds)
            up.add_metric([name], module.error is None)
            if module.last_run_at is not None:
                ran.add_metric([name], module.last_run_at.timestamp())
        yield from (runs, failures, busy, took, up, ran)

    def _evaluation(self) -> Iterator[Metric]:
        looks = self._services.alert_rules.punctuality
        yield from looks.collect()
        if (age := looks.age(self._now)) is not None:
            yield _gauge(
                "kokino_alert_turn_age_seconds",
                "How long ago all alert rules that were due were looked at without a failure;"
                " not there before the first time. A scrape asks for the next turn.",
                age.total_seconds(),
            )

    def _waiting(self, stored: Stored) -> Iterator[Metric]:
        waits = [stored.unlooked_since] if stored.unlooked_since is not None else []
        if self._services.alert_rules.punctuality.done_at is None:
            waits.append(self._services.started_at)
        lag = max(self._now - min(waits, default=self._now), timedelta())
        yield _gauge(
            "kokino_alert_evaluation_lag_seconds",
            "How long an alert rule that is due waits for its look, or an event that one counts,"
            " whichever waits longest.",
            lag.total_seconds(),
        )

    def _storage(self) -> Iterator[Metric]:
        storage = self._services.storage
        yield _gauge("kokino_storage_up", "1 when this scrape could read.", self._stored is not None)
        yield _gauge("kokino_storage_writes_waiting", "Writes that wait for a commit.", storage.waiting)
        yield from storage.writes.collect()

    def _alerts(self, found: Mapping[str, Mapping[Phase, int]]) -> Iterator[Metric]:
        rules = self._services.rules
        gravest = Counter(_gravest(found.get(rule_id, {})) for rule_id in rules)
        yield _by_state(
            "kokino_alert_rules",
            "Alert rules by the gravest of their alerts.",
            {s: gravest[s] for s in Phase},
        )
        firing = GaugeMetricFamily(
            "kokino_alerts_firing", "Alerts of a rule that fire.", labels=["rule", "severity"]
        )
        for rule_id, rule in rules.items():
            count = found.get(rule_id, {}).get(Phase.FIRING, 0)
            firing.add_metric([rule_id, rule.severity.value], count)
        yield firing

    def _outbox(self, stored: Stored) -> Iterator[Metric]:
        yield _by_state("kokino_outbox_deliveries", "Deliveries on their way.", stored.outbox)
        since = stored.waiting_since
        age = timedelta() if since is None else self._now - since
        yield _gauge(
            "kokino_outbox_oldest_age_seconds",
            "How long the oldest delivery waits; 0 without any.",
            age.total_seconds(),
        )


def _integrity(last: Report) -> Iterator[Metric]:
    yield _gauge(
        "kokino_integrity_check_timestamp_seconds",
        "When the last integrity check was begun.",
        last.started_at.timestamp(),
    )
    yield _gauge(
        "kokino_integrity_check_seconds", "How long the last integrity check took.", last.took.total_seconds()
    )
    faults = GaugeMetricFamily(
        "kokino_integrity_faulty_rows", "Rows that the last integrity check found faulty.", labels=["kind"]
    )
    for kind in Kind:
        faults.add_metric([kind.value], last.counts.get(kind, 0))
    yield faults


def _backups(found: Sequence[Backup]) -> Iterator[Metric]:
    yield _gauge("kokino_backups", "Backups of the database that Kokino keeps.", len(found))
    if found:
        yield _gauge(
            "kokino_backup_timestamp_seconds",
            "When the newest of them was made.",
            found[0].made_at.timestamp(),
        )


def _environment(diagnoses: Mapping[str, Diagnosis]) -> Iterator[Metric]:
    passed = GaugeMetricFamily(
        "kokino_environment_check_passed",
        "0 when what a check of the doctor looks for is needed and missing, else 1.",
        labels=["cli_type", "check"],
    )
    checked = GaugeMetricFamily(
        "kokino_environment_checked_timestamp_seconds",
        "When the doctor last looked at a CLI type, by the broker's clock.",
        labels=["cli_type"],
    )
    for name, diagnosis in diagnoses.items():
        for check in diagnosis.checks:
            passed.add_metric([name, check.name], check.is_well)
        checked.add_metric([name], diagnosis.checked_at.timestamp())
    yield from (passed, checked)


def _shadow(stored: Stored) -> Iterator[Metric]:
    yield _gauge("kokino_shadow_enabled", "0 while shadow mode is switched off for all.", stored.compares)
    yield _gauge("kokino_shadow_running", "Comparisons that are not over.", stored.comparisons)


def _gravest(states: Mapping[Phase, int]) -> Phase:
    return min(states, key=alert_store.GRAVEST.index, default=Phase.INACTIVE)


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=value)


def _counter(name: str, documentation: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, documentation, labels=["module"])


def _of_module(name: str, documentation: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=["module"])


def _by_state(name: str, documentation: str, counts: Mapping[State, int]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=["state"])
    for state, count in counts.items():
        family.add_metric([state.value], count)
    return family
