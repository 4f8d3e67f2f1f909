"""Agents in the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from kokino.agents.failures import FailureKind
from kokino.agents.model import Agent, Limits, Mode, Permissions, Source
from kokino.storage.schema import agents


def put(conn: Connection, agent: Agent) -> None:
    """Register `agent`, or change the one with its id."""
    values = _values(agent)
    if get(conn, agent.agent_id) is None:
        conn.execute(insert(agents).values(agent_id=agent.agent_id, **values))
    else:
        del values["registered_at"]
        conn.execute(update(agents).where(agents.c.agent_id == agent.agent_id).values(**values))


def get(conn: Connection, agent_id: str) -> Agent | None:
    """The agent, or None."""
    row = conn.execute(select(agents).where(agents.c.agent_id == agent_id)).one_or_none()
    return None if row is None else _agent(row)


def everyone(conn: Connection) -> list[Agent]:
    """All agents that people configured, by id."""
    query = select(agents).where(agents.c.source != Source.BROKER.value).order_by(agents.c.agent_id)
    return [_agent(row) for row in conn.execute(query)]


def page(conn: Connection, *, after: str, limit: int) -> list[Agent]:
    """At most `limit` agents that people configured, with ids after `after`."""
    query = (
        select(agents)
        .where(agents.c.agent_id > after, agents.c.source != Source.BROKER.value)
        .order_by(agents.c.agent_id)
        .limit(limit)
    )
    return [_agent(row) for row in conn.execute(query)]


def forget(conn: Connection, agent_id: str) -> None:
    """Remove an agent; its executions and conversations stay."""
    conn.execute(delete(agents).where(agents.c.agent_id == agent_id))


def _values(agent: Agent) -> dict[str, Any]:
    return {
        "cli_type": agent.cli_type,
        "cwd": str(agent.cwd),
        "mode": agent.mode.value,
        "model": agent.model,
        "env": dict(agent.env),
        "flags": list(agent.flags),
        "limits": agent.limits.to_document(),
        "fallback": agent.fallback,
        "breaker_fallback": agent.breaker_fallback,
        "account": agent.account,
        "pool": agent.pool,
        "retries": {kind.value: times for kind, times in agent.retries.items()},
        "permissions": agent.permissions.value,
        "shadow_sample": agent.shadow_sample,
        "shadow_threshold": agent.shadow_threshold,
        "source": agent.source.value,
        "registered_at": agent.registered_at,
    }


def _agent(row: Row[Any]) -> Agent:
    return Agent(
        agent_id=row.agent_id,
        cli_type=row.cli_type,
        cwd=Path(row.cwd),
        mode=Mode(row.mode),
        model=row.model,
        env=row.env,
        flags=tuple(row.flags),
        limits=Limits.from_document(row.limits),
        fallback=row.fallback,
        breaker_fallback=row.breaker_fallback,
        account=row.account,
        pool=row.pool,
        retries={FailureKind(kind): times for kind, times in (row.retries or {}).items()},
        permissions=Permissions(row.permissions),
        shadow_sample=row.shadow_sample,
        shadow_threshold=row.shadow_threshold,
        source=Source(row.source),
        registered_at=row.registered_at,
    )
