"""What rules would have done with what happened: stored history through the code that runs in earnest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kokino.alerts.model import Phase, Transition
from kokino.alerts.rehearse import Rehearsal
from kokino.alerts.rule import AlertRule
from kokino.alerts.timeline import Timeline
from kokino.slo.model import Objectives
from kokino.telemetry.model import Event

#: How often it looks beside the instants at which it would have looked anyway.
STEP = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """One episode that a rule would have had."""

    rule_id: str
    severity: str
    labels: dict[str, str]
    fired_at: datetime
    #: None where it would still fire.
    resolved_at: datetime | None
    condition: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """What came of it."""

    since: datetime
    until: datetime
    #: How many events were replayed.
    events: int
    rules: tuple[str, ...]
    #: In the order in which they fired.
    fired: tuple[Fired, ...]


def backtest(
    rules: Sequence[AlertRule],
    objectives: Objectives,
    events: Iterable[Event],
    *,
    since: datetime,
    until: datetime,
) -> Backtest:
    """Replay `events` through `rules` from `since` to `until`; what is older only fills their windows."""
    timeline = Timeline(events)
    fired = [one for rule in rules for one in _replay(rule, objectives, timeline, since, until)]
    return Backtest(
        since=since,
        until=until,
        events=len(timeline.events),
        rules=tuple(rule.id for rule in rules),
        fired=tuple(sorted(fired, key=lambda one: (one.fired_at, one.rule_id))),
    )


def _replay(
    rule: AlertRule, objectives: Objectives, timeline: Timeline, since: datetime, until: datetime
) -> Iterator[Fired]:
    run = Rehearsal(rule, objectives, timeline, since)
    for _ in run.run(_steps(since, until)):
        pass
    labels = {alert.alert_id: dict(alert.labels) for alert in run.alerts.values()}
    ends = {change.episode_id: change.at for change in run.changes if change.to_state is Phase.RESOLVED}
    for change in run.changes:
        if change.to_state is Phase.FIRING:
            yield _fired(rule, change, labels[change.alert_id], ends.get(change.episode_id))


def _fired(rule: AlertRule, change: Transition, labels: dict[str, str], ended: datetime | None) -> Fired:
    return Fired(
        rule_id=rule.id,
        severity=rule.severity.value,
        labels={name: value for name, value in labels.items() if name not in rule.labels},
        fired_at=change.at,
        resolved_at=ended,
        condition=change.measured.get("condition"),
        reason=change.reason,
    )


def _steps(since: datetime, until: datetime) -> Iterator[datetime]:
    at = since
    while at <= until:
        yield at
        at += STEP
