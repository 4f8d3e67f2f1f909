"""All that keeps agents from their own way at one instant, and whom it leaves without any."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from kokino.agents import circuit_store, store, traffic_store
from kokino.agents.model import CliType
from kokino.agents.routing import Traffic, Way, route


def traffic_now(conn: Connection, cli_types: Mapping[str, CliType], now: datetime) -> Traffic:
    """What is disabled, paused and open at this instant."""
    return Traffic(
        at=now,
        cli_types=cli_types,
        fallbacks=traffic_store.disabled(conn),
        forced=traffic_store.forced(conn),
        pauses=traffic_store.paused(conn),
        circuits=circuit_store.not_closed(conn),
    )


def stranded(conn: Connection, traffic: Traffic) -> dict[str, str]:
    """Every agent that is left without a way, with the reason, by its id.

    A circuit breaker strands nobody: it lets its agent try again by itself.
    """
    ways = ((agent.agent_id, route(agent, traffic)) for agent in store.everyone(conn))
    return {agent_id: way.reason for agent_id, way in ways if way.way is Way.REFUSE}
