"""Probes, which count for no user's service level, counted for themselves."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, case, func, select

from kokino.storage.schema import events
from kokino.telemetry.model import BAD, END_TYPES, GOOD, PROBE, Counts, EventType

_TYPES = [END_TYPES[state].value for state in sorted(GOOD | BAD)]


def probes_by_cli(conn: Connection, *, since: datetime, until: datetime) -> dict[str, Counts]:
    """Good and bad probes that ended in [since, until), by CLI type."""
    is_good = case((events.c.type == EventType.EXECUTION_COMPLETED.value, 1), else_=0)
    query = (
        select(events.c.cli_type, func.sum(is_good), func.count())
        .where(events.c.label == PROBE, events.c.type.in_(_TYPES))
        .where(events.c.at >= since, events.c.at < until)
        .group_by(events.c.cli_type)
    )
    return {name: Counts(good=int(good), bad=total - int(good)) for name, good, total in conn.execute(query)}
