"""Turns whose conversation is not there: looked for by readers, put right a few at a time.

The search goes through all turns, so no writer makes it: it finds what there is to do, and the writer looks
again at those rows alone. `tellers` are the executions, with what each tells of its conversation.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, FromClause, Select, delete, exists, func, insert, select

from kokino.conversations.fault_store import known
from kokino.storage.schema import conversations, turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphans:
    """The turns of one conversation that is not there."""

    conversation_id: str
    #: All of them, and the ids of the first.
    count: int
    turn_ids: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A conversation that is not there, as its executions tell of it."""

    conversation_id: str
    #: Whose it was: where executions of several agents tell of it, the first one's.
    agent_id: str
    began_at: datetime


def orphans(
    conn: Connection, tellers: FromClause, *, are_told_of: bool, limit: int, named: int
) -> tuple[list[Orphans], int]:
    """At most `limit` conversations that are not there but have turns, and the number of all of them.

    `are_told_of` asks for those of which an execution still tells, or else for all others.
    """
    grouped = (
        select(turns.c.conversation_id, func.count().label("turns"))
        .where(_is_orphan(tellers, are_told_of=are_told_of))
        .group_by(turns.c.conversation_id)
    )
    everything = conn.scalar(select(func.count()).select_from(grouped.subquery())) or 0
    found = conn.execute(grouped.order_by(turns.c.conversation_id).limit(limit)).all() if everything else []
    return [
        Orphans(
            conversation_id=row.conversation_id,
            count=row.turns,
            turn_ids=_first_turns(conn, row.conversation_id, named),
        )
        for row in found
    ], everything


def orphan_count(conn: Connection, tellers: FromClause, *, are_told_of: bool) -> int:
    """How many turns belong to no conversation, with an execution that tells of it or without."""
    query = select(func.count()).select_from(turns).where(_is_orphan(tellers, are_told_of=are_told_of))
    return conn.scalar(query) or 0


def told_of(conn: Connection, tellers: FromClause, conversation_ids: Collection[str]) -> set[str]:
    """Those of these ids that no conversation has, and that can be told from their executions."""
    told = _told(tellers).subquery()
    query = select(told.c.conversation_id).where(told.c.conversation_id.in_(conversation_ids))
    return set(conn.scalars(query))


def lost(conn: Connection, tellers: FromClause, *, limit: int) -> list[Lost]:
    """At most `limit` conversations that are not there, of which executions tell."""
    rows = conn.execute(_told(tellers).order_by(func.min(tellers.c.number)).limit(limit)).all()
    # The oldest row comes last, and so it is the one that stays.
    found = {row.conversation_id: row for row in reversed(rows)}
    return [
        Lost(conversation_id=id, agent_id=row.agent_id, began_at=row.began_at) for id, row in found.items()
    ]


def insert_again(conn: Connection, found: Sequence[Lost]) -> int:
    """Insert those of these that are still not there; how many."""
    there = known(conn, [one.conversation_id for one in found])
    values = [
        {"conversation_id": one.conversation_id, "agent_id": one.agent_id, "started_at": one.began_at}
        for one in found
        if one.conversation_id not in there
    ]
    if values:
        conn.execute(insert(conversations), values)
    return len(values)


def orphan_ids(conn: Connection, tellers: FromClause, *, limit: int) -> list[str]:
    """At most `limit` turns that belong to no conversation of which anything tells."""
    return list(
        conn.scalars(select(turns.c.turn_id).where(_is_orphan(tellers, are_told_of=False)).limit(limit))
    )


def delete_orphans(conn: Connection, turn_ids: Sequence[str]) -> int:
    """Delete those of these turns whose conversation is still not there; how many."""
    return conn.execute(delete(turns).where(turns.c.turn_id.in_(turn_ids), ~_has_conversation())).rowcount


def _has_conversation() -> ColumnElement[bool]:
    return exists().where(conversations.c.conversation_id == turns.c.conversation_id)


def _told(tellers: FromClause) -> Select[tuple[str, str, datetime]]:
    """Conversations that are not there, each with the agents whose executions said their turns."""
    return (
        select(turns.c.conversation_id, tellers.c.agent_id, func.min(tellers.c.began_at).label("began_at"))
        .join(tellers, tellers.c.execution_id == turns.c.execution_id)
        .where(~_has_conversation(), tellers.c.conversation_id == turns.c.conversation_id)
        .group_by(turns.c.conversation_id, tellers.c.agent_id)
    )


def _is_orphan(tellers: FromClause, *, are_told_of: bool) -> ColumnElement[bool]:
    told = turns.c.conversation_id.in_(select(_told(tellers).subquery().c.conversation_id))
    return ~_has_conversation() & (told if are_told_of else ~told)


def _first_turns(conn: Connection, conversation_id: str, limit: int) -> list[str]:
    query = select(turns.c.turn_id).where(turns.c.conversation_id == conversation_id)
    return list(conn.scalars(query.order_by(turns.c.number).limit(limit)))
