"""Foreign turns: their execution is not there, or ran for another agent than their conversation's.

Only reads. `tellers` are the executions, with what each tells of its conversation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, func, select

from kokino.conversations.fault_store import Said
from kokino.conversations.model import Role
from kokino.storage.schema import conversations, turns

#: Characters of a turn that tell a person what it is.
EXCERPT = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign(Said):
    """A turn that no execution of its conversation's agent accounts for."""

    #: Whose conversation it stands in.
    agent_id: str
    #: For whom its execution ran; None where that is not there.
    execution_agent_id: str | None
    #: The first `EXCERPT` characters of what was said, and how many there are.
    excerpt: str
    length: int


def foreign(conn: Connection, tellers: FromClause, *, after: str | None, limit: int) -> list[Foreign]:
    """At most `limit` foreign turns with ids behind `after`, by id: see `foreign_ids`."""
    columns = (
        *(turns.c[name] for name in Said.__slots__),
        conversations.c.agent_id,
        tellers.c.agent_id.label("execution_agent_id"),
        func.substr(turns.c.content, 1, EXCERPT).label("excerpt"),
        func.length(turns.c.content).label("length"),
    )
    query = _foreign(columns, tellers).order_by(turns.c.turn_id).limit(limit)
    found = conn.execute(query if after is None else query.where(turns.c.turn_id > after))
    return [Foreign(**{**row._mapping, "role": Role(row.role)}) for row in found]  # noqa: SLF001 - public


def foreign_ids(conn: Connection, tellers: FromClause, *, of: Collection[str] | None = None) -> list[str]:
    """The turns whose execution is not there, or ran for another agent than their conversation's; by id.

    All of them, or those of these ids.
    """
    query = _foreign([turns.c.turn_id], tellers).order_by(turns.c.turn_id)
    return list(conn.scalars(query if of is None else query.where(turns.c.turn_id.in_(of))))


def _foreign(columns: Iterable[ColumnElement[Any]], tellers: FromClause) -> Select[Any]:
    return (
        select(*columns)
        .select_from(turns)
        .join(conversations, conversations.c.conversation_id == turns.c.conversation_id)
        .outerjoin(tellers, tellers.c.execution_id == turns.c.execution_id)
        .where(turns.c.execution_id.is_not(None))
        .where(tellers.c.agent_id.is_(None) | (tellers.c.agent_id != conversations.c.agent_id))
    )
