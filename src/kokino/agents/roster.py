"""Agents come and go, with what has to be told of it. Every function runs inside `Storage.write`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from kokino.agents import circuit_store, circuits, fallbacks, session_store, store, traffic_store
from kokino.agents.askers import asking, named
from kokino.agents.model import Agent, Source
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event, EventType


def remove(conn: Connection, agent: Agent, *, reason: str, now: datetime) -> None:
    """Remove an agent; its executions and conversations stay. What alerts told of it is over."""
    circuits.close(conn, circuit_store.of_agent(conn, agent.agent_id), reason, now=now)
    circuit_store.forget(conn, agent.agent_id)
    traffic_store.clear(conn, agent.agent_id)
    store.forget(conn, agent.agent_id)
    # Who asks for it has its environment, secrets and all.
    asks = asking(named(agent.cli_type, agent.agent_id))
    session_store.forget(conn, asks)
    store.forget(conn, asks)
    telemetry.append(
        conn,
        Event(
            type=EventType.AGENT_REMOVED,
            at=now,
            agent_id=agent.agent_id,
            cli_type=agent.cli_type,
            account=agent.account,
            message=reason,
        ),
    )


def put(conn: Connection, agent: Agent, *, now: datetime) -> None:
    """Add an agent, or change the one with its id. What sent it round another CLI type is over."""
    before = store.get(conn, agent.agent_id)
    if before is not None and before.cli_type != agent.cli_type:
        fallbacks.clear(conn, before, reason=f"it runs on {agent.cli_type} now", by="kokino", now=now)
    store.put(conn, agent)


def take_configured(conn: Connection, configured: Iterable[Agent], *, now: datetime) -> None:
    """Make the agents from the file be exactly `configured`; those that the API registered stay."""
    wanted = {agent.agent_id: agent for agent in configured}
    for agent in store.everyone(conn):
        if agent.source is Source.CONFIG and agent.agent_id not in wanted:
            remove(conn, agent, reason="the configuration names it no more", now=now)
    for agent in wanted.values():
        put(conn, agent, now=now)
