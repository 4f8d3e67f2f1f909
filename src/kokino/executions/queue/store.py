"""The queues of agents in the database: who is next, how many wait, and until when."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from kokino.executions.model import Execution, State
from kokino.executions.store import from_row, in_state
from kokino.storage.schema import executions


def heads(conn: Connection, *, busy: Collection[str]) -> list[Execution]:
    """The first queued execution of each agent that is not `busy`, in order of acceptance."""
    first = (
        select(func.min(executions.c.number))
        .where(executions.c.state == State.QUEUED.value, executions.c.agent_id.not_in(list(busy)))
        .group_by(executions.c.agent_id)
    )
    query = select(executions).where(executions.c.number.in_(first)).order_by(executions.c.number)
    return [from_row(row) for row in conn.execute(query)]


def lengths(conn: Connection) -> dict[str, int]:
    """How many executions wait, by agent."""
    query = (
        select(executions.c.agent_id, func.count())
        .where(executions.c.state == State.QUEUED.value)
        .group_by(executions.c.agent_id)
    )
    return dict(conn.execute(query).all())


def length(conn: Connection, agent_id: str) -> int:
    """How many executions wait for one agent."""
    waiting = (executions.c.agent_id == agent_id, executions.c.state == State.QUEUED.value)
    return conn.execute(select(func.count()).select_from(executions).where(*waiting)).scalar_one()


def unfinished_count(conn: Connection, agent_id: str) -> int:
    """How many executions one agent runs or has waiting."""
    unfinished = executions.c.state.in_([State.QUEUED.value, State.RUNNING.value])
    query = select(func.count()).select_from(executions).where(executions.c.agent_id == agent_id, unfinished)
    return conn.execute(query).scalar_one()


def overdue(conn: Connection, now: datetime) -> list[Execution]:
    """Queued executions that have waited as long as they may."""
    query = (
        select(executions)
        .where(executions.c.state == State.QUEUED.value, executions.c.queue_ends_at <= now)
        .order_by(executions.c.number)
    )
    return [from_row(row) for row in conn.execute(query)]


def renew_waits(conn: Connection, now: datetime) -> None:
    """Give whatever waits its whole queue timeout, from `now` on."""
    for waiting in in_state(conn, State.QUEUED):
        conn.execute(
            update(executions)
            .where(executions.c.execution_id == waiting.execution_id)
            .values(queue_ends_at=now + waiting.queue_timeout)
        )


def next_deadline(conn: Connection) -> datetime | None:
    """When the first queued execution will have waited as long as it may."""
    earliest = select(func.min(executions.c.queue_ends_at)).where(executions.c.state == State.QUEUED.value)
    found: datetime | None = conn.scalar(earliest)
    return found
