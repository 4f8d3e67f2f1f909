"""What an integrity check asks of executions. Only reads."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, FromClause, func, select

from kokino.executions.model import State
from kokino.storage.schema import executions

#: Ids in one query: SQLite takes 32766, and less in an older one.
_AT_ONCE = 500
_UNFINISHED = [State.QUEUED.value, State.RUNNING.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What an execution tells of the turns that it said."""

    #: Its place in the order of acceptance, which is the order in which one agent's executions run.
    number: int
    agent_id: str


def origins(conn: Connection, execution_ids: Collection[str]) -> dict[str, Origin]:
    """The origins of those of these ids that executions have, by execution."""
    wanted, found = sorted(execution_ids), dict[str, Origin]()
    for start in range(0, len(wanted), _AT_ONCE):
        query = select(executions.c.execution_id, executions.c.number, executions.c.agent_id)
        some = executions.c.execution_id.in_(wanted[start : start + _AT_ONCE])
        found |= {
            row.execution_id: Origin(number=row.number, agent_id=row.agent_id)
            for row in conn.execute(query.where(some))
        }
    return found


def tellers() -> FromClause:
    """All executions, to be joined: what each tells of the conversation that it said its turns in."""
    began_at = func.coalesce(executions.c.started_at, executions.c.queued_at).label("began_at")
    return select(
        *(executions.c[name] for name in ("execution_id", "conversation_id", "agent_id", "number")), began_at
    ).subquery("tellers")


def ended_at_no_time(conn: Connection, *, limit: int) -> tuple[list[str], int]:
    """Executions that are over, without the instant of their end: the first ids, and the number of all."""
    faulty = (executions.c.ended_at.is_(None), executions.c.state.not_in(_UNFINISHED))
    count = conn.scalar(select(func.count()).select_from(executions).where(*faulty)) or 0
    query = select(executions.c.execution_id).where(*faulty).order_by(executions.c.number).limit(limit)
    return (list(conn.scalars(query)) if count else []), count
