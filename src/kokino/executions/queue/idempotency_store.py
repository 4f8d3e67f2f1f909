"""Idempotency keys in the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from kokino.storage.schema import idempotency_keys


def find(conn: Connection, agent_id: str, key: str) -> tuple[str, str] | None:
    """The execution that has this key with the agent, and the hash of the body that asked for it."""
    row = conn.execute(
        select(idempotency_keys.c.execution_id, idempotency_keys.c.body_hash).where(
            idempotency_keys.c.agent_id == agent_id, idempotency_keys.c.key == key
        )
    ).one_or_none()
    return None if row is None else (row.execution_id, row.body_hash)


def remember(
    conn: Connection, agent_id: str, key: str, *, body_hash: str, execution_id: str, now: datetime
) -> None:
    """Give a key to the execution, whichever had it before."""
    conn.execute(
        delete(idempotency_keys).where(idempotency_keys.c.agent_id == agent_id, idempotency_keys.c.key == key)
    )
    conn.execute(
        insert(idempotency_keys).values(
            agent_id=agent_id, key=key, body_hash=body_hash, execution_id=execution_id, created_at=now
        )
    )


def forget_agent(conn: Connection, agent_id: str) -> None:
    """Forget all keys of an agent: one that is registered anew under its id is another."""
    conn.execute(delete(idempotency_keys).where(idempotency_keys.c.agent_id == agent_id))


def forget_older(conn: Connection, *, than: datetime) -> int:
    """Forget keys from before an instant; how many there were."""
    return conn.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at < than)).rowcount
