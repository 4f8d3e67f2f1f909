"""Conversations and turns in the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, exists, func, insert, select

from kokino.conversations.model import Role, Turn
from kokino.storage.schema import conversations, turns

#: Ids in one query: SQLite takes 32766, and less in an older one.
_AT_ONCE = 500


def begin(conn: Connection, conversation_id: str, agent_id: str, *, now: datetime) -> None:
    """Open a conversation."""
    conn.execute(
        insert(conversations).values(conversation_id=conversation_id, agent_id=agent_id, started_at=now)
    )


def say(
    conn: Connection,
    conversation_id: str,
    *,
    turn_id: str,
    execution_id: str,
    role: Role,
    content: str,
    now: datetime,
) -> None:
    """Add a turn at the end."""
    last = conn.scalar(select(func.max(turns.c.number)).where(turns.c.conversation_id == conversation_id))
    conn.execute(
        insert(turns).values(
            turn_id=turn_id,
            conversation_id=conversation_id,
            number=(last or 0) + 1,
            execution_id=execution_id,
            role=role.value,
            content=content,
            said_at=now,
        )
    )


def unsay(conn: Connection, execution_id: str) -> None:
    """Take back what an execution said that never began."""
    conn.execute(delete(turns).where(turns.c.execution_id == execution_id))


def forget_turns(conn: Connection, execution_ids: Collection[str]) -> None:
    """Delete what was said in these executions."""
    conn.execute(delete(turns).where(turns.c.execution_id.in_(execution_ids)))


def forget_empty(conn: Connection, conversation_ids: Collection[str]) -> None:
    """Delete those of these conversations in which nothing is said any more."""
    has_turns = exists().where(turns.c.conversation_id == conversations.c.conversation_id)
    conn.execute(
        delete(conversations).where(conversations.c.conversation_id.in_(conversation_ids), ~has_turns)
    )


def turn_counts(conn: Connection, conversation_ids: Sequence[str]) -> dict[str, int]:
    """How many turns each of these has; those without any are left out."""
    counts: dict[str, int] = {}
    for start in range(0, len(conversation_ids), _AT_ONCE):
        some = conversation_ids[start : start + _AT_ONCE]
        query = (
            select(turns.c.conversation_id, func.count().label("said"))
            .where(turns.c.conversation_id.in_(some))
            .group_by(turns.c.conversation_id)
        )
        counts |= {row.conversation_id: row.said for row in conn.execute(query)}
    return counts


def prompt_count(conn: Connection, conversation_id: str) -> int:
    """How many prompts it has."""
    asked = (turns.c.conversation_id == conversation_id, turns.c.role == Role.USER.value)
    return conn.execute(select(func.count()).select_from(turns).where(*asked)).scalar_one()


def turns_of(conn: Connection, conversation_id: str, *, after: int = 0, limit: int = 100) -> list[Turn]:
    """At most `limit` turns that come after number `after`, in order."""
    query = (
        select(turns)
        .where(turns.c.conversation_id == conversation_id, turns.c.number > after)
        .order_by(turns.c.number)
        .limit(limit)
    )
    return [
        Turn(
            turn_id=row.turn_id,
            conversation_id=row.conversation_id,
            number=row.number,
            execution_id=row.execution_id,
            role=Role(row.role),
            content=row.content,
            said_at=row.said_at,
        )
        for row in conn.execute(query)
    ]
