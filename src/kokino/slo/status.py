"""What ``GET /api/slo/status`` and ``GET /api/metrics/slo`` answer.

What is read from the database is counts and durations; all else is arithmetic on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from kokino.clock import MILLISECOND
from kokino.slo.answers import (
    Availability,
    Counted,
    Latency,
    Level,
    Period,
    SloReport,
    SloStatus,
    State,
    Window,
)
from kokino.slo.budget import budget, burn_rate
from kokino.slo.model import Objective, Objectives, SloId
from kokino.telemetry import rollup_store, window_store
from kokino.telemetry.histogram import Histogram
from kokino.telemetry.model import Counts, Owner, Scope

#: What ``current`` of availability looks back over: its alert's window.
CURRENT = timedelta(hours=1)
#: Both windows of each burn tier: Google, The Site Reliability Workbook, "Alerting on SLOs".
BURN_WINDOWS: Mapping[str, timedelta] = {
    "5m": timedelta(minutes=5),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "2h": timedelta(hours=2),
    "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
    "3d": timedelta(days=3),
}


def status(
    conn: Connection,
    *,
    now: datetime,
    objectives: Objectives,
    alert_states: Mapping[str, str],
    running: Sequence[timedelta] = (),
) -> SloStatus:
    """How every service level stands at `now`.

    `alert_states` has the state of the alert on each one, `running` the age of every execution that runs.
    """
    until = _including(now)
    counted = {
        id: _counted(conn, until, objectives.of(id), alert_states.get(id, "inactive"))
        for id in (SloId.CORRECTNESS, SloId.INTEGRITY, SloId.RESOURCES)
    }
    return SloStatus(
        availability=_availability(
            conn, until, objectives.availability, alert_states.get(SloId.AVAILABILITY, "inactive")
        ),
        latency=_latency(
            conn, until, objectives.latency, alert_states.get(SloId.LATENCY, "inactive"), running
        ),
        correctness=counted[SloId.CORRECTNESS],
        integrity=counted[SloId.INTEGRITY],
        resources=counted[SloId.RESOURCES],
        timestamp=now,
    )


def report(
    conn: Connection,
    *,
    period: Period,
    now: datetime,
    objectives: Objectives,
    running: Sequence[timedelta] = (),
) -> SloReport:
    """How every service level did over the period that ends at `now`."""
    until = _including(now)
    since = until - period.length
    summed = rollup_store.totals(conn, since, until, Scope.ALL)
    durations = summed.durations + _slow(objectives.latency, running)
    return SloReport(
        period=period,
        since=now - period.length,
        until=now,
        availability=_level(summed.counts, objectives.availability, period),
        latency=_level(_within(objectives.latency, durations), objectives.latency, period, durations),
        correctness=_level(_count(conn, SloId.CORRECTNESS, since, until), objectives.correctness, period),
        integrity=_level(_count(conn, SloId.INTEGRITY, since, until), objectives.integrity, period),
        resources=_level(_count(conn, SloId.RESOURCES, since, until), objectives.resources, period),
    )


def _counted(conn: Connection, until: datetime, objective: Objective, alert_state: str) -> Counted:
    counts = _count(conn, objective.id, until - objective.window, until)
    return Counted(
        current=counts.ratio,
        target=objective.target,
        breached=_state(counts.ratio, objective) is State.BREACHED,
        alert_state=alert_state,
        state=_state(counts.ratio, objective),
        error_budget_remaining=budget(counts, objective).remaining,
        window=_window(counts, objective),
    )


def _count(conn: Connection, id: SloId, since: datetime, until: datetime) -> Counts:
    """Good and bad ones of a service level that is no execution's outcome or duration."""
    match id:
        case SloId.RESOURCES:
            peaks = window_store.memory(conn, since, until)
            return Counts(good=peaks.within, bad=peaks.over)
        case SloId.CORRECTNESS:
            return window_store.counts(conn, since, until, Owner(Scope.SHADOW))
        case _:
            return rollup_store.totals(conn, since, until, Scope.CHECKS).counts


def _including(now: datetime) -> datetime:
    """Windows end before their last instant; what happened at `now` itself belongs to ours."""
    return now + MILLISECOND


def _availability(conn: Connection, until: datetime, objective: Objective, alert_state: str) -> Availability:
    def back(length: timedelta) -> Counts:
        return window_store.counts(conn, until - length, until)

    current, whole = back(CURRENT).ratio, back(objective.window)
    spent = budget(whole, objective)
    return Availability(
        current=current,
        target=objective.target,
        breached=_state(current, objective) is State.BREACHED,
        alert_state=alert_state,
        error_budget_remaining=spent.remaining,
        state=_state(current, objective),
        window=_window(whole, objective),
        burn_rates={name: burn_rate(back(length), objective.target) for name, length in BURN_WINDOWS.items()},
        error_budget=spent,
    )


def _latency(
    conn: Connection, until: datetime, objective: Objective, alert_state: str, running: Sequence[timedelta]
) -> Latency:
    slow = _slow(objective, running)
    durations = rollup_store.totals(conn, until - objective.window, until, Scope.ALL).durations + slow
    counted = _within(objective, durations)
    return Latency(
        current=counted.ratio,
        target=objective.target,
        breached=_state(counted.ratio, objective) is State.BREACHED,
        alert_state=alert_state,
        state=_state(counted.ratio, objective),
        threshold_ms=_threshold(objective) // MILLISECOND,
        **_quantiles(durations),
        max=durations.max_ms if durations.count else None,
        running_slow=slow.count,
        error_budget_remaining=budget(counted, objective).remaining,
        window=_window(counted, objective),
    )


def _level(counts: Counts, objective: Objective, period: Period, durations: Histogram | None = None) -> Level:
    state = _state(counts.ratio, objective)
    over_period = Objective(id=objective.id, target=objective.target, window=period.length)
    return Level(
        current=counts.ratio,
        target=objective.target,
        good=counts.good,
        total=counts.total,
        state=state,
        compliant=None if state is State.NO_DATA else state is State.OK,
        error_budget=budget(counts, over_period),
        quantiles=None if durations is None else _quantiles(durations),
    )


def _state(current: float | None, objective: Objective) -> State:
    if current is None:
        return State.NO_DATA
    return State.BREACHED if current < objective.target else State.OK


def _window(counts: Counts, objective: Objective) -> Window:
    return Window(
        days=objective.window / timedelta(days=1), current=counts.ratio, good=counts.good, total=counts.total
    )


def _threshold(objective: Objective) -> timedelta:
    if objective.threshold is None:
        raise ValueError(f"the objective {objective.id} needs a threshold")
    return objective.threshold


def _slow(objective: Objective, running: Sequence[timedelta]) -> Histogram:
    """A hung CLI never ends, so what still runs past the threshold counts as slow from then on."""
    return Histogram.of([age // MILLISECOND for age in running if age > _threshold(objective)])


def _within(objective: Objective, durations: Histogram) -> Counts:
    threshold_ms = _threshold(objective) // MILLISECOND
    return Counts(good=durations.within(threshold_ms), bad=durations.above(threshold_ms))


def _quantiles(durations: Histogram) -> dict[str, int | None]:
    return {"p50": durations.quantile(0.50), "p95": durations.quantile(0.95), "p99": durations.quantile(0.99)}
