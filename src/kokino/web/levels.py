"""The panel of service levels, with a chart of the last hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from kokino.alerts import store as alert_store
from kokino.executions.summary_store import Summary
from kokino.slo import status as slo
from kokino.slo.answers import Availability, Counted, Latency, SloStatus
from kokino.slo.model import Objectives, SloId
from kokino.telemetry.minute_store import Minute, minutes
from kokino.web import words

#: Minutes in the chart, and its size in its own units: one minute is 4 wide.
CHARTED = 60
STEP = 4
HEIGHT = 40
#: A minute with any execution at all must be seen.
LOWEST = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One minute of the chart; measures from the top, in the chart's units."""

    x: int
    good_y: float
    good_height: float
    #: The bad ones stand on the good ones.
    bad_y: float
    bad_height: float
    #: What the bar says to whoever points at it.
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Executions of the last hour, minute by minute."""

    bars: tuple[Bar, ...]
    #: The whole of it in a sentence, for those who do not see it.
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailabilityTile:
    """Availability over the last hour, and its error budget over 30 days; words ready to be shown."""

    current: str
    target: str
    #: ``ok``, ``breached`` or ``no_data``.
    state: str
    alert_state: str
    burn_rate: str
    #: Share of the error budget that is left, 0 to 1; None without executions.
    budget_left: float | None
    budget_minutes: str
    budget_total: str
    good: int
    total: int
    days: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyTile:
    """How long executions take, over 24 hours."""

    #: Share within the threshold.
    current: str
    target: str
    state: str
    threshold: str
    #: (name, length): p50, p95, p99.
    quantiles: tuple[tuple[str, str], ...]
    #: Executions that still run and are past the threshold.
    running_slow: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedTile:
    """Another service level in one line."""

    name: str
    current: str
    target: str
    #: ``ok``, ``breached`` or ``no_data``.
    state: str
    days: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """All service levels."""

    availability: AvailabilityTile
    latency: LatencyTile
    #: Correctness, integrity and resources.
    counted: tuple[CountedTile, ...]
    chart: Chart


def read_levels(
    conn: Connection, *, now: datetime, objectives: Objectives, running: Sequence[Summary]
) -> Levels:
    """How every service level stands at `now`, while `running` runs."""
    ages = [now - one.started_at for one in running if one.started_at is not None and one.label is None]
    found = slo.status(
        conn, now=now, objectives=objectives, alert_states=alert_store.states_by_slo(conn), running=ages
    )
    return Levels(
        availability=_availability(found.availability),
        latency=_latency(found.latency),
        counted=_counted(found),
        chart=chart(minutes(conn, until=now, count=CHARTED)),
    )


def chart(counted: Sequence[Minute]) -> Chart:
    """Bars as high as the busiest minute allows."""
    peak = max((minute.good + minute.bad for minute in counted), default=0)
    bars = tuple(_bar(number, minute, peak) for number, minute in enumerate(counted))
    total, bad = sum(one.good + one.bad for one in counted), sum(one.bad for one in counted)
    summary = f"Last hour: {words.counted(total, 'execution')}, {bad:,} bad; at most {peak:,} in a minute"
    return Chart(bars=bars, summary=summary)


def _bar(number: int, minute: Minute, peak: int) -> Bar:
    scale = HEIGHT / peak if peak else 0.0
    good = max(minute.good * scale, LOWEST) if minute.good else 0.0
    bad = max(minute.bad * scale, LOWEST) if minute.bad else 0.0
    good = min(good, HEIGHT - bad)
    return Bar(
        x=number * STEP,
        good_y=round(HEIGHT - good, 2),
        good_height=round(good, 2),
        bad_y=round(HEIGHT - good - bad, 2),
        bad_height=round(bad, 2),
        title=f"{minute.at:%H:%M}: {minute.good:,} good, {minute.bad:,} bad",
    )


def _availability(found: Availability) -> AvailabilityTile:
    return AvailabilityTile(
        current=words.share(found.current),
        target=words.target(found.target),
        state=found.state.value,
        alert_state=found.alert_state,
        burn_rate=words.times(found.burn_rates["1h"]),
        budget_left=found.error_budget.remaining,
        budget_minutes=words.minutes(found.error_budget.minutes_remaining),
        budget_total=words.minutes(found.error_budget.minutes_total),
        good=found.window.good,
        total=found.window.total,
        days=words.length(timedelta(days=found.window.days)),
    )


def _latency(found: Latency) -> LatencyTile:
    values = (("p50", found.p50), ("p95", found.p95), ("p99", found.p99))
    return LatencyTile(
        current=words.share(found.current),
        target=words.target(found.target),
        state=found.state.value,
        threshold=words.length(timedelta(milliseconds=found.threshold_ms)),
        quantiles=tuple((name, words.milliseconds(value)) for name, value in values),
        running_slow=found.running_slow,
        total=found.window.total,
    )


def _counted(found: SloStatus) -> tuple[CountedTile, ...]:
    levels: dict[SloId, Counted] = {
        SloId.CORRECTNESS: found.correctness,
        SloId.INTEGRITY: found.integrity,
        SloId.RESOURCES: found.resources,
    }
    return tuple(
        CountedTile(
            name=id.value.capitalize(),
            current=words.share(level.current),
            target=words.target(level.target),
            state=level.state.value,
            days=words.length(timedelta(days=level.window.days)),
        )
        for id, level in levels.items()
    )
