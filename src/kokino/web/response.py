"""The panels of alerts, and of whether messages reach people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from kokino.alerts import store as alert_store
from kokino.alerts.model import Alert, Phase
from kokino.alerts.quiet import quiet
from kokino.alerts.rule import AlertRule, Severity
from kokino.escalation import store as escalation_store
from kokino.incidents import store as incident_store
from kokino.incidents.rules import title
from kokino.notify import receiver_store
from kokino.notify.model import DeliveryState
from kokino.notify.receiver_store import Fared
from kokino.notify.settings import Routing

#: Resolved alerts stay in sight until there are this many.
LISTED_RESOLVED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """One alert, with what its rule says of it."""

    alert_id: str
    title: str
    severity: str
    owner: str
    channel: str | None
    playbook: str | None
    state: str
    since: datetime
    #: In plain English, why it is in this state.
    reason: str
    #: None while nobody looks after it.
    acknowledged_by: str | None
    acknowledgement_ends_at: datetime | None
    #: ``INC-7``; None where there is none.
    incident: str | None
    #: How far people have been told.
    escalation: str | None
    #: When somebody is told next; None when nothing is due.
    escalation_due_at: datetime | None
    #: Why it tells nobody: silenced, or inhibited by another alert. None where people hear of it.
    quiet: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """The alerts that fire or are about to, the gravest first."""

    active: tuple[AlertRow, ...]
    #: Those that fire and tell nobody.
    quiet: tuple[AlertRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The alerts that were resolved last."""

    rows: tuple[AlertRow, ...]
    #: How many rules watch.
    rules: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverRow:
    """A receiver and how it fares."""

    name: str
    type: str
    is_paging: bool
    #: ``ok``, ``waiting``, ``failing`` or ``unused``.
    health: str
    fared: Fared | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receivers:
    """Who can be told."""

    rows: tuple[ReceiverRow, ...]
    #: Some receiver wakes a person.
    can_page: bool


def read_alerts(conn: Connection, *, now: datetime, rules: Mapping[str, AlertRule]) -> Alerts:
    """What fires, or is about to, and disturbs somebody."""
    found = alert_store.listed(conn, (Phase.FIRING, Phase.PENDING))
    rows = [_alert(conn, alert, rules, now) for alert in found if not _is_for_machines(alert, rules)]
    ordered = sorted(rows, key=lambda row: (row.state != Phase.FIRING, row.severity, row.title))
    return Alerts(
        active=tuple(row for row in ordered if row.quiet is None),
        quiet=tuple(row for row in ordered if row.quiet is not None),
    )


def read_resolved(conn: Connection, *, now: datetime, rules: Mapping[str, AlertRule]) -> Resolved:
    """What is over, the latest first."""
    found = alert_store.listed(conn, (Phase.RESOLVED,))[:LISTED_RESOLVED]
    return Resolved(rows=tuple(_alert(conn, alert, rules, now) for alert in found), rules=len(rules))


def read_alert(conn: Connection, alert_id: str, *, now: datetime, rules: Mapping[str, AlertRule]) -> AlertRow:
    """One alert. Raises `NotFound`."""
    return _alert(conn, alert_store.get(conn, alert_id), rules, now)


def read_receivers(conn: Connection, *, routing: Routing) -> Receivers:
    """Every configured receiver."""
    found = receiver_store.fared(conn)
    names = sorted({*routing.receivers, *found} if routing.receivers else {"log", *found})
    rows = [
        ReceiverRow(
            name=name,
            type=_type(routing, name),
            is_paging=name in routing.receivers and routing.is_paging(name),
            health=health(found.get(name)),
            fared=found.get(name),
        )
        for name in names
    ]
    return Receivers(rows=tuple(rows), can_page=any(row.is_paging for row in rows))


def health(fared: Fared | None) -> str:
    """A receiver is as well as its newest delivery."""
    if fared is None:
        return "unused"
    if fared.state in {DeliveryState.FAILED, DeliveryState.UNCERTAIN}:
        return "failing"
    return "waiting" if fared.waiting else "ok"


def _is_for_machines(alert: Alert, rules: Mapping[str, AlertRule]) -> bool:
    rule = rules.get(alert.rule_id)
    return rule is not None and rule.severity is Severity.NONE


def _type(routing: Routing, name: str) -> str:
    receiver = routing.receivers.get(name)
    return "log" if receiver is None else type(receiver).__name__.removesuffix("Receiver").lower()


def _alert(conn: Connection, alert: Alert, rules: Mapping[str, AlertRule], now: datetime) -> AlertRow:
    rule = rules.get(alert.rule_id)
    is_firing = alert.state is Phase.FIRING and alert.episode_id is not None
    incident = incident_store.of_episode(conn, str(alert.episode_id)) if alert.episode_id else None
    escalation = escalation_store.get(conn, str(alert.episode_id)) if is_firing else None
    is_acknowledged = is_firing and is_acknowledged_at(alert, now)
    keeps_quiet = quiet(conn, alert, rules, now=now) if is_firing else None
    return AlertRow(
        alert_id=alert.alert_id,
        title=title(rule.title, alert.labels) if rule else alert.rule_id,
        severity=rule.severity if rule else "P3",
        owner=rule.owner if rule else "",
        channel=rule.channel if rule else None,
        playbook=rule.playbook if rule else None,
        state=alert.state.value,
        since=alert.since,
        reason=str(alert.measured.get("reason") or ""),
        acknowledged_by=alert.acknowledged_by if is_acknowledged else None,
        acknowledgement_ends_at=alert.acknowledgement_ends_at if is_acknowledged else None,
        incident=None if incident is None else incident.id,
        escalation=None if escalation is None else escalation.reason,
        escalation_due_at=None if escalation is None else escalation.due_at,
        quiet=None if keeps_quiet is None else keeps_quiet.reason,
    )


def is_acknowledged_at(alert: Alert, now: datetime) -> bool:
    """True while somebody has said that they look after it."""
    ends_at = alert.acknowledgement_ends_at
    return alert.acknowledged_at is not None and (ends_at is None or now < ends_at)
