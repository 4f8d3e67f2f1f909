"""The alerts' episodes in the database, for the nouns that follow them: incidents and escalations."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, func, select

from kokino.alerts.episode import Episode
from kokino.alerts.model import Phase, Transition
from kokino.alerts.store import to_transition
from kokino.storage.schema import alert_transitions, alerts


def firing(conn: Connection) -> list[Episode]:
    """Every episode that goes on, in the order in which they began."""
    query = select(alerts).where(alerts.c.state == Phase.FIRING.value)
    return [
        Episode(
            episode_id=row.episode_id,
            alert_id=row.alert_id,
            rule_id=row.rule_id,
            labels=row.labels,
            fired_at=row.firing_at,
            measured=row.measured,
        )
        for row in conn.execute(query.order_by(alerts.c.firing_at, alerts.c.alert_id))
    ]


def start(conn: Connection, episode_id: str) -> Transition | None:
    """How the episode began, from its history: its alert may measure something else by now."""
    return _change(conn, episode_id, Phase.FIRING)


def end(conn: Connection, episode_id: str) -> Transition | None:
    """How the episode ended, from its history: its alert may fire again by now. None while it goes on."""
    return _change(conn, episode_id, Phase.RESOLVED)


def last_end(conn: Connection, alert_ids: Collection[str], *, until: datetime) -> datetime | None:
    """When the last episode of these alerts that ended by `until` did so; None where none had."""
    query = select(func.max(alert_transitions.c.at)).where(
        alert_transitions.c.alert_id.in_(alert_ids),
        alert_transitions.c.to_state == Phase.RESOLVED.value,
        alert_transitions.c.at <= until,
    )
    found: datetime | None = conn.execute(query).scalar_one()
    return found


def _change(conn: Connection, episode_id: str, to: Phase) -> Transition | None:
    query = select(alert_transitions).where(
        alert_transitions.c.episode_id == episode_id, alert_transitions.c.to_state == to.value
    )
    row = conn.execute(query.order_by(alert_transitions.c.transition_id.desc()).limit(1)).one_or_none()
    return None if row is None else to_transition(row)
