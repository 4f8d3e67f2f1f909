"""Reads the alerts' episodes that incidents and escalations follow."""

from __future__ import annotations

from sqlalchemy import Connection, select

from kokino.incidents.episode import Episode, Turn
from kokino.storage.schema import alert_transitions, alerts


def firing(conn: Connection) -> list[Episode]:
    """Every episode that goes on, in the order in which they began."""
    query = select(alerts).where(alerts.c.state == "firing").order_by(alerts.c.firing_at, alerts.c.alert_id)
    return [
        Episode(
            episode_id=row.episode_id,
            alert_id=row.alert_id,
            rule_id=row.rule_id,
            labels=row.labels,
            fired_at=row.firing_at,
            measured=row.measured,
        )
        for row in conn.execute(query)
    ]


def start(conn: Connection, episode_id: str) -> Turn | None:
    """How the episode began, from its history: its alert may measure something else by now."""
    return _turn(conn, episode_id, "firing")


def end(conn: Connection, episode_id: str) -> Turn | None:
    """How the episode ended, from its history: its alert may fire again by now. None while it goes on."""
    return _turn(conn, episode_id, "resolved")


def _turn(conn: Connection, episode_id: str, to_state: str) -> Turn | None:
    query = select(alert_transitions).where(
        alert_transitions.c.episode_id == episode_id, alert_transitions.c.to_state == to_state
    )
    row = conn.execute(query.order_by(alert_transitions.c.transition_id.desc()).limit(1)).one_or_none()
    return None if row is None else Turn(at=row.at, reason=row.reason, measured=row.measured)
