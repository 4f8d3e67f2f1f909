"""Failures in a row: the first sign of an outage, before any rate shows it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select

from kokino.storage.schema import events
from kokino.telemetry.model import END_TYPES, RAN_BADLY, EventType, Scope

_FAILURE_TYPES = [END_TYPES[state].value for state in sorted(RAN_BADLY)]


def failures_in_a_row(conn: Connection, *, scope: Scope, since: datetime) -> dict[str, int]:
    """Users' failures since the last success, none before `since`, by CLI type or agent.

    What was refused in between says nothing. Those with none are left out.
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
        .where(events.c.type.in_(_FAILURE_TYPES), *users)
        .where(events.c.event_id > func.coalesce(successes.c.last, 0))
        .group_by(owner)
    )
    return dict(conn.execute(query).all())
