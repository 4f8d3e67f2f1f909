"""Failures in a row: the first sign of an outage, before any rate shows it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, or_, select

from kokino.storage.schema import events
from kokino.telemetry.model import BAD, END_TYPES, EventType, Scope

_BAD_TYPES = [END_TYPES[state].value for state in sorted(BAD)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Streak:
    """Failures since the last success."""

    failures: int
    last_failure_at: datetime | None


def streak_of_agent(conn: Connection, agent_id: str, *, uncounted: Collection[str]) -> Streak:
    """The agent's failures since its last success, without those whose kind is `uncounted`."""
    last_success = (
        select(func.max(events.c.event_id))
        .where(events.c.agent_id == agent_id, events.c.type == EventType.EXECUTION_COMPLETED.value)
        .scalar_subquery()
    )
    row = conn.execute(
        select(func.count().label("failures"), func.max(events.c.at).label("last"))
        .where(events.c.agent_id == agent_id, events.c.type.in_(_BAD_TYPES))
        .where(events.c.event_id > func.coalesce(last_success, 0))
        .where(or_(events.c.kind.is_(None), events.c.kind.not_in(list(uncounted))))
    ).one()
    return Streak(failures=row.failures, last_failure_at=row.last)


def failures_in_a_row(conn: Connection, *, scope: Scope, since: datetime) -> dict[str, int]:
    """Users' failures since the last success, none before `since`, by CLI type or agent.

    Those with none are left out.
    """
    owner = events.c.cli_type if scope is Scope.CLI else events.c.agent_id
    users = (events.c.at >= since, events.c.label.is_(None))
    successes = (
        select(owner.label("owner"), func.max(events.c.event_id).label("last"))
        .where(events.c.type == EventType.EXECUTION_COMPLETED.value, *users)
        .group_by(owner)
        .subquery()
    )
    query = (
        select(owner, func.count())
        .outerjoin(successes, successes.c.owner == owner)
        .where(events.c.type.in_(_BAD_TYPES), *users)
        .where(events.c.event_id > func.coalesce(successes.c.last, 0))
        .group_by(owner)
    )
    return dict(conn.execute(query).all())
