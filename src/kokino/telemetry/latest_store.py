"""The last event of each type: whether something is so now, whatever and however much happened before."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from kokino.storage.schema import events, latest_events
from kokino.telemetry.model import Event

#: So many events `first_since` looks at.
WITHIN = 1000


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Latest:
    """The last event of one type about one agent and CLI type; of two at one instant the later told."""

    at: datetime
    event_id: int
    type: str
    #: Empty where it tells of none.
    agent_id: str
    cli_type: str


def note(conn: Connection, event: Event, event_id: int) -> None:
    """An event was appended; one that happened before the last one changes nothing."""
    values = {
        "type": event.type,
        "agent_id": event.agent_id or "",
        "cli_type": event.cli_type or "",
        "at": event.at,
        "event_id": event_id,
    }
    conn.execute(_upsert(conn.dialect.name), values)


def of_types(conn: Connection, types: Collection[str]) -> list[Latest]:
    """The last events of these types, one for each agent and CLI type."""
    query = select(latest_events).where(latest_events.c.type.in_(sorted(types)))
    return [Latest(**row._mapping) for row in conn.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


def types_since(conn: Connection, event_id: int) -> tuple[dict[str, datetime], int]:
    """The types of all events after `event_id` with the latest instant of each, and the last one's number.

    Numbers become visible in their order, for one writer gives them (docs/decisions/0004).
    """
    query = select(
        events.c.type, func.max(events.c.at).label("at"), func.max(events.c.event_id).label("last")
    )
    rows = conn.execute(query.where(events.c.event_id > event_id).group_by(events.c.type)).all()
    return {row.type: row.at for row in rows}, max((row.last for row in rows), default=event_id)


def first_since(conn: Connection, event_id: int, types: Collection[str]) -> datetime | None:
    """When the first event of these types after `event_id` happened; None where there is none.

    Of the next `WITHIN` events: else a long backlog of other types would be read from end to end.
    """
    columns = (events.c.event_id, events.c.type, events.c.at)
    later = select(*columns).where(events.c.event_id > event_id).order_by(events.c.event_id)
    near = later.limit(WITHIN).subquery()
    first = select(near.c.at).where(near.c.type.in_(sorted(types))).order_by(near.c.event_id).limit(1)
    found: datetime | None = conn.scalar(first)
    return found


def last_number(conn: Connection) -> int:
    """The number of the last event; 0 before the first."""
    return conn.execute(select(func.max(events.c.event_id))).scalar_one() or 0


@cache
def _upsert(dialect: str) -> Any:
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(latest_events)
    return statement.on_conflict_do_update(
        index_elements=[latest_events.c.type, latest_events.c.agent_id, latest_events.c.cli_type],
        set_={"at": statement.excluded.at, "event_id": statement.excluded.event_id},
        where=statement.excluded.at >= latest_events.c.at,
    )
