"""Escalations in the database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from kokino.escalation.model import Escalation, EscalationState
from kokino.storage.schema import escalations


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


def unfinished_by_state(conn: Connection) -> dict[EscalationState, int]:
    """How many escalations are not finished, by where they stand."""
    going_on = [state for state in EscalationState if state is not EscalationState.FINISHED]
    query = select(escalations.c.state, func.count().label("number")).where(escalations.c.state.in_(going_on))
    found = {row.state: row.number for row in conn.execute(query.group_by(escalations.c.state))}
    return {state: found.get(state.value, 0) for state in going_on}


def to_join(conn: Connection, policy: str, *, since: datetime, but_not: str) -> Escalation | None:
    """The escalation of a policy, begun after `since`, whose messages can tell of another alert too.

    None that is about the alert `but_not` itself: its earlier episode is another story.
    """
    query = select(escalations).where(
        escalations.c.policy == policy,
        escalations.c.alert_id != but_not,
        escalations.c.joined_to.is_(None),
        escalations.c.tier >= 0,
        escalations.c.started_at > since,
        escalations.c.state.in_([EscalationState.ACTIVE.value, EscalationState.HELD.value]),
    )
    row = conn.execute(query.order_by(escalations.c.started_at, escalations.c.episode_id).limit(1)).first()
    return None if row is None else _escalation(row)


def leading(conn: Connection, escalation: Escalation) -> Escalation:
    """The one whose messages tell of `escalation`: that which it joined, else itself."""
    first = None if escalation.joined_to is None else get(conn, escalation.joined_to)
    return escalation if first is None else first


def joined(conn: Connection, episode_id: str) -> list[Escalation]:
    """The escalations that are told of with this episode's, in the order of their start."""
    query = select(escalations).where(escalations.c.joined_to == episode_id)
    return [_escalation(row) for row in conn.execute(query.order_by(escalations.c.started_at))]


def told_of(conn: Connection, episodes: Iterable[str]) -> set[str]:
    """Note that the messages of the one that these have joined tell of them; those that are new to people."""
    known = escalations.c.episode_id.in_(list(episodes)), escalations.c.joined_to.is_not(None)
    change = update(escalations).where(*known, escalations.c.tier < 0).values(tier=0)
    return set(conn.scalars(change.returning(escalations.c.episode_id)))


def untold(conn: Connection) -> dict[str, list[str]]:
    """What has joined others and was told of by none of their messages yet, by the episode that it joined."""
    query = select(escalations.c.joined_to, escalations.c.episode_id).where(
        escalations.c.state == EscalationState.JOINED.value, escalations.c.tier < 0
    )
    found: dict[str, list[str]] = {}
    for first, joined in conn.execute(query.order_by(escalations.c.started_at, escalations.c.episode_id)):
        found.setdefault(first, []).append(joined)
    return found


def handed_over_up_to(conn: Connection) -> int:
    """The timeline entry up to which every handing over was passed on."""
    return conn.scalar(select(func.max(escalations.c.handed_over_up_to))) or 0


def of_incident(conn: Connection, number: int) -> list[Escalation]:
    """The escalations of an incident's alerts, in the order of their start."""
    query = select(escalations).where(escalations.c.incident == number).order_by(escalations.c.started_at)
    return [_escalation(row) for row in conn.execute(query)]


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
        "joined_to": escalation.joined_to,
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
        joined_to=row.joined_to,
    )
