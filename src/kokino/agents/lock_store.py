"""The lock of each agent, in the database, with its fencing token."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from kokino.agents.model import Lock
from kokino.storage.schema import agent_locks


def acquire(conn: Connection, agent_id: str, execution_id: str, *, now: datetime) -> int | None:
    """Take a free lock and return its token; None when somebody holds it."""
    lock = get(conn, agent_id)
    if lock is None:
        conn.execute(
            insert(agent_locks).values(agent_id=agent_id, token=1, execution_id=execution_id, locked_at=now)
        )
        return 1
    if lock.execution_id is not None:
        return None
    token = lock.token + 1
    conn.execute(
        update(agent_locks)
        .where(agent_locks.c.agent_id == agent_id)
        .values(token=token, execution_id=execution_id, locked_at=now, overdue_at=None)
    )
    return token


def release(conn: Connection, agent_id: str, token: int) -> bool:
    """Free the lock if `token` is its holder's; False when it is not, and then nothing changes."""
    freed = conn.execute(
        update(agent_locks)
        .where(
            agent_locks.c.agent_id == agent_id,
            agent_locks.c.token == token,
            agent_locks.c.execution_id.is_not(None),
        )
        .values(execution_id=None, locked_at=None)
    )
    return freed.rowcount == 1


def note_overdue(conn: Connection, agent_id: str, token: int, *, now: datetime) -> bool:
    """Write down that the holder with `token` is overdue; False when it was already, or holds it no more."""
    noted = conn.execute(
        update(agent_locks)
        .where(
            agent_locks.c.agent_id == agent_id,
            agent_locks.c.token == token,
            agent_locks.c.execution_id.is_not(None),
            agent_locks.c.overdue_at.is_(None),
        )
        .values(overdue_at=now)
    )
    return noted.rowcount == 1


def get(conn: Connection, agent_id: str) -> Lock | None:
    """The lock, or None when nobody ever held it."""
    row = conn.execute(select(agent_locks).where(agent_locks.c.agent_id == agent_id)).one_or_none()
    return None if row is None else _lock(row)


def held(conn: Connection) -> dict[str, Lock]:
    """The locks that are held, by agent."""
    query = select(agent_locks).where(agent_locks.c.execution_id.is_not(None))
    return {row.agent_id: _lock(row) for row in conn.execute(query)}


def _lock(row: Row[Any]) -> Lock:
    return Lock(
        agent_id=row.agent_id,
        token=row.token,
        execution_id=row.execution_id,
        locked_at=row.locked_at,
        overdue_at=row.overdue_at,
    )
