"""Alerts and their history. Every function runs inside `Storage.read` or `Storage.write`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, tuple_

from kokino.alerts.model import Alert, Phase, Transition
from kokino.clock import spoken
from kokino.errors import Conflict, NotFound
from kokino.storage.schema import alert_transitions, alerts

#: Of several alerts on one service level, or of one rule, the gravest is told.
GRAVEST = (Phase.FIRING, Phase.PENDING, Phase.RESOLVED, Phase.INACTIVE)


def get(conn: Connection, alert_id: str) -> Alert:
    """One alert. Raises `NotFound`."""
    row = conn.execute(select(alerts).where(alerts.c.alert_id == alert_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no alert {alert_id!r}; GET /api/alerts lists them")
    return _alert(row)


def find(conn: Connection, rule_id: str, fingerprint: str) -> Alert | None:
    """A rule's alert with these labels, or None before the first look at it."""
    query = select(alerts).where(alerts.c.rule_id == rule_id, alerts.c.fingerprint == fingerprint)
    row = conn.execute(query).one_or_none()
    return None if row is None else _alert(row)


def listed(conn: Connection, states: Collection[Phase] = tuple(Phase)) -> list[Alert]:
    """Alerts in these states, the latest change first."""
    query = select(alerts).where(alerts.c.state.in_([state.value for state in states]))
    return [_alert(row) for row in conn.execute(query.order_by(alerts.c.since.desc(), alerts.c.alert_id))]


def page(
    conn: Connection,
    *,
    states: Collection[Phase],
    rule_id: str | None = None,
    limit: int,
    after: str | None = None,
) -> list[Alert]:
    """At most `limit` alerts, the latest change first; `after` is the last one of an earlier answer."""
    query = select(alerts).where(alerts.c.state.in_([state.value for state in states]))
    if rule_id is not None:
        query = query.where(alerts.c.rule_id == rule_id)
    if after is not None:
        last = select(alerts.c.since, alerts.c.alert_id).where(alerts.c.alert_id == after)
        query = query.where(tuple_(alerts.c.since, alerts.c.alert_id) < last.scalar_subquery())
    query = query.order_by(alerts.c.since.desc(), alerts.c.alert_id.desc())
    return [_alert(row) for row in conn.execute(query.limit(limit))]


def of_rules(conn: Connection, rule_ids: Collection[str]) -> list[Alert]:
    """All alerts of some rules."""
    if not rule_ids:
        return []
    query = select(alerts).where(alerts.c.rule_id.in_(list(rule_ids)))
    return [_alert(row) for row in conn.execute(query)]


def states_by_slo(conn: Connection) -> dict[str, str]:
    """The state of the alert on each service level, by the label ``slo``, for the answer about it."""
    found: dict[str, Phase] = {}
    for alert in listed(conn):
        slo = alert.labels.get("slo")
        if slo is not None:
            found[slo] = min(alert.state, found.get(slo, Phase.INACTIVE), key=GRAVEST.index)
    return {slo: state.value for slo, state in found.items()}


def states_by_rule(conn: Connection) -> dict[str, dict[Phase, int]]:
    """How many alerts each rule has in each state; only of rules that have any."""
    query = select(alerts.c.rule_id, alerts.c.state, func.count()).group_by(alerts.c.rule_id, alerts.c.state)
    found: dict[str, dict[Phase, int]] = {}
    for rule_id, state, count in conn.execute(query):
        found.setdefault(rule_id, {})[Phase(state)] = count
    return found


def save(conn: Connection, alert: Alert, transition: Transition | None = None) -> None:
    """Write an alert down, with the change that brought it here: one transaction."""
    values = asdict(alert)
    known = conn.execute(alerts.update().where(alerts.c.alert_id == alert.alert_id).values(values))
    if not known.rowcount:
        conn.execute(alerts.insert().values(values))
    if transition is not None:
        conn.execute(alert_transitions.insert().values(asdict(transition)))


def why(conn: Connection, alert_id: str, *, limit: int = 100) -> list[Transition]:
    """How the alert came to its state: its latest changes with their reasons, oldest first."""
    query = select(alert_transitions).where(alert_transitions.c.alert_id == alert_id)
    newest = conn.execute(query.order_by(alert_transitions.c.transition_id.desc()).limit(limit)).all()
    return [to_transition(row) for row in reversed(newest)]


def acknowledge(conn: Connection, alert_id: str, *, by: str, at: datetime, ends_at: datetime | None) -> Alert:
    """Note that somebody works on the present episode, until `ends_at`; a later one takes the place of this.

    Raises `NotFound`, and `Conflict` when the alert does not fire.
    """
    alert = get(conn, alert_id)
    if alert.state is not Phase.FIRING:
        raise Conflict(
            f"alert {alert_id} is {alert.state} since {spoken(alert.since)}: there is nothing to acknowledge"
        )
    acknowledged = replace(alert, acknowledged_at=at, acknowledged_by=by, acknowledgement_ends_at=ends_at)
    save(conn, acknowledged)
    return acknowledged


def _alert(row: Row[Any]) -> Alert:
    values = {name: getattr(row, name) for name in Alert.__slots__}
    return Alert(**{**values, "state": Phase(row.state)})


def to_transition(row: Row[Any]) -> Transition:
    """The change in a row of its table."""
    values = {name: getattr(row, name) for name in Transition.__slots__}
    return Transition(**{**values, "from_state": Phase(row.from_state), "to_state": Phase(row.to_state)})
