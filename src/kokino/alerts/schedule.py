"""When can a verdict change with time alone? All else comes with an execution, which wakes the engine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from kokino.alerts.gate import fewest_failures
from kokino.alerts.model import Alert, Phase
from kokino.alerts.observe import Measurements, Source, window_start
from kokino.alerts.rule import AlertRule, Budget, Burn, NoData, Rate, long_window
from kokino.clock import MILLISECOND

#: With steady traffic something leaves a window all the time. Looking again this often is enough: a minute to
#: notice that the good ones have left, a second to notice that the bad ones have.
SOONEST_FIRING = timedelta(minutes=1)
SOONEST_RESOLVE = timedelta(seconds=1)


def due_at(
    rule: AlertRule, alert: Alert, source: Source, measurements: Measurements, *, now: datetime
) -> datetime | None:
    """The earliest instant to look again at `alert`; None while only an execution can change anything."""
    match alert.state:
        case Phase.FIRING:
            instants, soonest = _may_clear(rule, alert, source, now), SOONEST_RESOLVE
        case Phase.PENDING:
            instants, soonest = _may_hold(rule, alert), SOONEST_RESOLVE
        case _:
            instants, soonest = _may_fire(rule, alert, source, measurements, now), SOONEST_FIRING
    first = min(instants, default=None)
    return None if first is None else max(first, now + soonest)


def _may_clear(rule: AlertRule, alert: Alert, source: Source, now: datetime) -> Iterator[datetime]:
    """A failure leaves the resolve window; or recovery has held for long enough."""
    if alert.clear_at is not None:
        yield alert.clear_at + rule.resolve.hold
    since, until = window_start(now, rule.resolve.window, alert.windows_from), now + MILLISECOND
    oldest = source.oldest_bad_at(since, until)
    if oldest is None and rule.no_data is NoData.OK:
        oldest = source.oldest_at(since, until)
    if oldest is not None:
        yield oldest + rule.resolve.window


def _may_hold(rule: AlertRule, alert: Alert) -> Iterator[datetime]:
    if alert.pending_at is not None:
        yield alert.pending_at + rule.pending_for


def _may_fire(
    rule: AlertRule, alert: Alert, source: Source, measurements: Measurements, now: datetime
) -> Iterator[datetime]:
    """Good executions leave a window that still holds enough bad ones."""
    for condition in rule.conditions:
        window = long_window(condition)
        counts = measurements.windows[window]
        is_silence_bad = rule.no_data is NoData.ALERT and counts.total > 0
        if not is_silence_bad and (counts.bad < _fewest(rule, condition) or not counts.good):
            continue
        oldest = source.oldest_at(window_start(now, window, alert.windows_from), now + MILLISECOND)
        if oldest is not None:
            yield oldest + window


def _fewest(rule: AlertRule, condition: Rate | Budget | Burn) -> int:
    """The fewest failures with which the condition can hold at all."""
    if rule.p is None or condition.alpha is None:
        return 1
    return fewest_failures(p=rule.p, alpha=condition.alpha)
