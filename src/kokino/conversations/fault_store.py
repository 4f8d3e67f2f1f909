"""What an integrity check asks of conversations, and how what it finds is put right.

Searches only read, a portion at a time: no writer waits for them. Answers never hold what was said, which may
be megabytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from kokino.conversations.model import Role
from kokino.storage.schema import conversations, turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A turn without its words."""

    turn_id: str
    conversation_id: str
    number: int
    execution_id: str | None
    role: Role
    said_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphans:
    """The turns of one conversation that is not there."""

    conversation_id: str
    #: All of them, and the ids of the first.
    count: int
    turn_ids: Sequence[str]


def _has_conversation() -> ColumnElement[bool]:
    return exists().where(conversations.c.conversation_id == turns.c.conversation_id)


def _told(tellers: FromClause) -> Select[tuple[str, str, datetime]]:
    """Conversations that are not there, each with the agents whose executions said their turns.

    `tellers` are the executions, with what each tells of its conversation.
    """
    return (
        select(turns.c.conversation_id, tellers.c.agent_id, func.min(tellers.c.began_at).label("began_at"))
        .join(tellers, tellers.c.execution_id == turns.c.execution_id)
        .where(~_has_conversation(), tellers.c.conversation_id == turns.c.conversation_id)
        .group_by(turns.c.conversation_id, tellers.c.agent_id)
    )


def _is_orphan(tellers: FromClause, *, are_told_of: bool) -> ColumnElement[bool]:
    told = turns.c.conversation_id.in_(select(_told(tellers).subquery().c.conversation_id))
    return ~_has_conversation() & (told if are_told_of else ~told)


def totals(conn: Connection) -> tuple[int, int]:
    """How many conversations and turns there are."""
    counted = [select(func.count()).select_from(table) for table in (conversations, turns)]
    return conn.scalar(counted[0]) or 0, conn.scalar(counted[1]) or 0


def portion(conn: Connection, *, after: str, limit: int) -> dict[str, str]:
    """The agents of at most `limit` conversations with ids behind `after`, by conversation, in order."""
    query = (
        select(conversations.c.conversation_id, conversations.c.agent_id)
        .where(conversations.c.conversation_id > after)
        .order_by(conversations.c.conversation_id)
        .limit(limit)
    )
    return {row.conversation_id: row.agent_id for row in conn.execute(query)}


def said_in(conn: Connection, conversation_ids: Collection[str]) -> list[Said]:
    """The turns of these conversations, each conversation's in their order."""
    columns = [turns.c[name] for name in Said.__slots__]
    query = (
        select(*columns)
        .where(turns.c.conversation_id.in_(conversation_ids))
        .order_by(turns.c.conversation_id, turns.c.number)
    )
    return [Said(**{**row._mapping, "role": Role(row.role)}) for row in conn.execute(query)]  # noqa: SLF001 - public


def known(conn: Connection, conversation_ids: Collection[str]) -> set[str]:
    """Those of these ids that conversations have."""
    query = select(conversations.c.conversation_id)
    return set(conn.scalars(query.where(conversations.c.conversation_id.in_(conversation_ids))))


def told_of(conn: Connection, tellers: FromClause, conversation_ids: Collection[str]) -> set[str]:
    """Those of these ids that no conversation has, and that can be told from their executions."""
    told = _told(tellers).subquery()
    query = select(told.c.conversation_id).where(told.c.conversation_id.in_(conversation_ids))
    return set(conn.scalars(query))


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


def insert_lost(conn: Connection, tellers: FromClause, *, limit: int) -> int:
    """Insert at most `limit` conversations again, as their executions tell of them; how many."""
    rows = conn.execute(_told(tellers).order_by(func.min(tellers.c.number)).limit(limit)).all()
    # Where executions of several agents tell of one, it was the first one's: the oldest row comes last.
    found = {row.conversation_id: row for row in reversed(rows)}
    if found:
        conn.execute(
            insert(conversations),
            [
                {"conversation_id": id, "agent_id": row.agent_id, "started_at": row.began_at}
                for id, row in found.items()
            ],
        )
    return len(found)


def delete_orphans(conn: Connection, tellers: FromClause, *, limit: int) -> int:
    """Delete at most `limit` turns that belong to no conversation of which anything tells; how many."""
    is_orphan = _is_orphan(tellers, are_told_of=False)
    ids = list(conn.scalars(select(turns.c.turn_id).where(is_orphan).limit(limit)))
    if ids:
        conn.execute(delete(turns).where(turns.c.turn_id.in_(ids), ~_has_conversation()))
    return len(ids)


def has_same_words(conn: Connection, turn_ids: Collection[str]) -> bool:
    """True where all of these turns say the same."""
    query = select(func.count(turns.c.content.distinct())).where(turns.c.turn_id.in_(turn_ids))
    return conn.scalar(query) == 1


def delete_turns(conn: Connection, turn_ids: Collection[str]) -> None:
    """Delete these turns."""
    conn.execute(delete(turns).where(turns.c.turn_id.in_(turn_ids)))


def renumber(conn: Connection, numbers: Mapping[str, int]) -> None:
    """Give turns of one conversation other numbers, by turn id."""
    # Out of the way first: no two turns of a conversation may have one number, not even between two updates.
    for sign in (-1, 1):
        conn.execute(
            update(turns).where(turns.c.turn_id == bindparam("turn")).values(number=bindparam("place")),
            [{"turn": turn_id, "place": sign * number} for turn_id, number in numbers.items()],
        )


def _first_turns(conn: Connection, conversation_id: str, limit: int) -> list[str]:
    query = select(turns.c.turn_id).where(turns.c.conversation_id == conversation_id)
    return list(conn.scalars(query.order_by(turns.c.number).limit(limit)))
