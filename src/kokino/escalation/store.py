"""Escalations in the database, and the facts about alerts that decide about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from kokino.escalation.model import Acknowledgement, Escalation, EscalationState
from kokino.storage.schema import alerts, escalations


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The alert that an escalation is about, as its row stands."""

    alert_id: str
    rule_id: str
    #: Of its present episode; None before its first.
    episode_id: str | None
    is_firing: bool
    measured: dict[str, Any]
    labels: dict[str, str]
    acknowledgement: Acknowledgement | None


def start(conn: Connection, escalation: Escalation) -> None:
    """Write down a new escalation; there is one for each episode."""
    conn.execute(insert(escalations).values(episode_id=escalation.episode_id, **_values(escalation)))


def change(conn: Connection, escalation: Escalation) -> None:
    """Write down how an escalation stands now."""
    found = escalations.c.episode_id == escalation.episode_id
    conn.execute(update(escalations).where(found).values(_values(escalation)))


def get(conn: Connection, episode_id: str) -> Escalation | None:
    """The escalation of an episode, or None."""
    row = conn.execute(select(escalations).where(escalations.c.episode_id == episode_id)).one_or_none()
    return None if row is None else _escalation(row)


def page(conn: Connection, *, limit: int, before: datetime | None = None) -> list[Escalation]:
    """At most `limit` escalations, the newest first, started before `before`."""
    query = (
        select(escalations).order_by(escalations.c.started_at.desc(), escalations.c.episode_id).limit(limit)
    )
    if before is not None:
        query = query.where(escalations.c.started_at < before)
    return [_escalation(row) for row in conn.execute(query)]


def unfinished(conn: Connection) -> list[str]:
    """Episodes whose escalation is not finished, in the order of their start."""
    going_on = [state.value for state in EscalationState if state is not EscalationState.FINISHED]
    query = select(escalations.c.episode_id).where(escalations.c.state.in_(going_on))
    return list(conn.scalars(query.order_by(escalations.c.started_at, escalations.c.episode_id)))


def handed_over_up_to(conn: Connection) -> int:
    """The timeline entry up to which every handing over was passed on."""
    return conn.scalar(select(func.max(escalations.c.handed_over_up_to))) or 0


def of_incident(conn: Connection, number: int) -> list[Escalation]:
    """The escalations of an incident's alerts, in the order of their start."""
    query = select(escalations).where(escalations.c.incident == number).order_by(escalations.c.started_at)
    return [_escalation(row) for row in conn.execute(query)]


def not_started(conn: Connection) -> list[Subject]:
    """Firing alerts of which nobody has been told in this episode, in the order of their start."""
    query = (
        select(alerts)
        .outerjoin(escalations, escalations.c.episode_id == alerts.c.episode_id)
        .where(alerts.c.state == "firing", escalations.c.episode_id.is_(None))
        .order_by(alerts.c.firing_at, alerts.c.alert_id)
    )
    return [_subject(row) for row in conn.execute(query)]


def subject(conn: Connection, alert_id: str) -> Subject | None:
    """An alert as it stands, or None."""
    row = conn.execute(select(alerts).where(alerts.c.alert_id == alert_id)).one_or_none()
    return None if row is None else _subject(row)


def acknowledge(conn: Connection, alert_id: str, acknowledgement: Acknowledgement) -> None:
    """Note on an alert's episode who looks after it; the last one to say so counts."""
    values = {
        "acknowledged_by": acknowledgement.by,
        "acknowledged_at": acknowledgement.at,
        "acknowledgement_ends_at": acknowledgement.ends_at,
    }
    conn.execute(update(alerts).where(alerts.c.alert_id == alert_id).values(values))


def _values(escalation: Escalation) -> dict[str, Any]:
    return {
        "alert_id": escalation.alert_id,
        "policy": escalation.policy,
        "incident": escalation.incident,
        "state": escalation.state.value,
        "tier": escalation.tier,
        "round": escalation.round,
        "due_at": escalation.due_at,
        "started_at": escalation.started_at,
        "reason": escalation.reason,
        "handed_over_up_to": escalation.handed_over_up_to,
    }


def _escalation(row: Row[Any]) -> Escalation:
    return Escalation(
        episode_id=row.episode_id,
        alert_id=row.alert_id,
        policy=row.policy,
        incident=row.incident,
        state=EscalationState(row.state),
        tier=row.tier,
        round=row.round,
        due_at=row.due_at,
        started_at=row.started_at,
        reason=row.reason,
        handed_over_up_to=row.handed_over_up_to,
    )


def _subject(row: Row[Any]) -> Subject:
    return Subject(
        alert_id=row.alert_id,
        rule_id=row.rule_id,
        episode_id=row.episode_id,
        is_firing=row.state == "firing",
        measured=row.measured,
        labels=row.labels,
        acknowledgement=_acknowledgement(row),
    )


def _acknowledgement(row: Row[Any]) -> Acknowledgement | None:
    # One from before is of an earlier episode.
    if row.acknowledged_at is None or row.firing_at is None or row.acknowledged_at < row.firing_at:
        return None
    by = row.acknowledged_by or "somebody"
    return Acknowledgement(by=by, at=row.acknowledged_at, ends_at=row.acknowledgement_ends_at)
