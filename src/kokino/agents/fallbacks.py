"""What sends agents elsewhere and lets them come back: a disabled CLI type for many, a fallback for one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection

from kokino.agents import circuit_store, circuits, store, traffic_store
from kokino.agents.breaker import in_tmux
from kokino.agents.model import Agent, CliType, Fallback, Mode
from kokino.agents.routing import PARK, TMUX, named_target, target_of, why_not_unasked
from kokino.agents.traffic import stranded, traffic_now
from kokino.agents.unasked import Vouch, is_let_loose
from kokino.errors import Conflict
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event, EventType


def disable(conn: Connection, fallback: Fallback, cli_types: Mapping[str, CliType], vouch: Vouch) -> None:
    """Send the agents of a CLI type elsewhere.

    Raises `Conflict` where some would be left without a way, and what `vouch` raises where agents that ask
    would be moved to a CLI that asks nobody. Where others go on, it takes away the way of some: the event
    says of how many.
    """
    agents = store.everyone(conn)
    _check_ways(conn, fallback, agents, cli_types)
    _check_moves(fallback, agents, cli_types, vouch)
    traffic_store.disable(conn, fallback)
    left = len(stranded(conn, traffic_now(conn, cli_types, fallback.since)))
    left_behind = f"; agents without a way: {left}" if left else ""
    telemetry.append(
        conn,
        Event(
            type=EventType.FALLBACK_ENABLED,
            at=fallback.since,
            cli_type=fallback.cli_type,
            message=f"{fallback.set_by}: {fallback.reason}{left_behind}",
            data={"target": fallback.target, "stranded": left},
        ),
    )


def enable(
    conn: Connection, cli_type: str, *, reason: str, by: str, set_by: str | None, now: datetime
) -> bool:
    """Use a CLI type again, for all its agents; False when it was not disabled, or not by `set_by`.

    Their circuit breakers on it are closed: probes, or somebody, have found that it works.
    """
    fallback = traffic_store.disabled(conn).get(cli_type)
    if fallback is None or set_by not in {None, fallback.set_by}:
        return False
    traffic_store.enable(conn, cli_type)
    telemetry.append(
        conn, Event(type=EventType.FALLBACK_DISABLED, at=now, cli_type=cli_type, message=f"{by}: {reason}")
    )
    for way in (cli_type, in_tmux(cli_type)):
        found = circuit_store.not_closed(conn, cli_type=way)
        circuits.close(conn, found.values(), f"{by}: {cli_type} is enabled again", now=now)
    return True


def force(conn: Connection, agent: Agent, fallback: Fallback, cli_types: Mapping[str, CliType]) -> None:
    """Send an agent elsewhere. Raises `Conflict` where there is no way that it could go."""
    target = target_of(agent, fallback)
    if (fault := fault_in(conn, agent, named_target(agent, fallback), cli_types)) is not None:
        raise Conflict(f"agent {agent.agent_id!r} cannot be sent to {target}: {fault}")
    traffic_store.force(conn, fallback)
    telemetry.append(
        conn,
        Event(
            type=EventType.FALLBACK_ENABLED,
            at=fallback.since,
            agent_id=agent.agent_id,
            cli_type=agent.cli_type,
            account=agent.account,
            message=f"{fallback.set_by}: {fallback.reason}",
            data={"target": target},
        ),
    )


def fault_in(
    conn: Connection, agent: Agent, target: str | None, cli_types: Mapping[str, CliType]
) -> str | None:
    """Why an agent cannot go there, to tmux where nobody names a target; None where it can."""
    own = cli_types.get(agent.cli_type)
    if own is None:
        return f"there is no CLI type {agent.cli_type!r} any more; configure it again, or give it another one"
    if target == PARK:
        return None
    if target is None or target == TMUX:
        unasked = why_not_unasked(own) if target is None else None
        return "it runs there anyway" if agent.mode == TMUX else own.no_terminal or unasked
    if target == agent.cli_type:
        return "that is its own CLI type"
    if target in traffic_store.disabled(conn):
        return "it is disabled itself"
    return None if target in cli_types else "there is no such CLI type"


def clear(conn: Connection, agent: Agent, *, reason: str, by: str, now: datetime) -> bool:
    """Let an agent run where it is meant to; False when it was not sent elsewhere.

    Its circuit breakers there and round it are closed: probes, or somebody, have found that it works.
    """
    if not traffic_store.clear(conn, agent.agent_id):
        return False
    telemetry.append(
        conn,
        Event(
            type=EventType.FALLBACK_DISABLED,
            at=now,
            agent_id=agent.agent_id,
            cli_type=agent.cli_type,
            account=agent.account,
            message=f"{by}: {reason}",
        ),
    )
    ways = (agent.cli_type, in_tmux(agent.cli_type))
    own = [circuit_store.get(conn, agent.agent_id, way) for way in ways]
    circuits.close(conn, own, f"{by}: {reason}", now=now)
    return True


def _check_ways(
    conn: Connection, fallback: Fallback, agents: Collection[Agent], cli_types: Mapping[str, CliType]
) -> None:
    """Raise `Conflict` where agents would be left without a way that is not meant to be."""
    disabled = traffic_store.disabled(conn)
    if fallback.target in disabled:
        raise Conflict(
            f"CLI type {fallback.target!r} is disabled itself and cannot take over; choose another target"
        )
    if leaning := [off.cli_type for off in disabled.values() if off.target == fallback.cli_type]:
        raise Conflict(f"{fallback.cli_type!r} stands in for {', '.join(leaning)}: enable that first")
    healthy = {agent.cli_type for agent in agents} - disabled.keys() - {fallback.cli_type}
    takes_ways = any(
        agent.cli_type == fallback.cli_type
        and not _goes_on(agent, fallback)
        and fault_in(conn, agent, named_target(agent, fallback), cli_types) is not None
        for agent in agents
    )
    if takes_ways and not healthy:
        raise Conflict(
            f"{fallback.cli_type!r} is the only CLI type in use that is enabled; to stop everything,"
            ' POST /api/pause {"scope": "all", "reason": ...}'
        )


def _goes_on(agent: Agent, fallback: Fallback) -> bool:
    """True for one that works in tmux anyway: what is disabled is the headless form."""
    return agent.mode.of_caller is Mode.TMUX and target_of(agent, fallback) == TMUX


def _check_moves(
    fallback: Fallback, agents: Collection[Agent], cli_types: Mapping[str, CliType], vouch: Vouch
) -> None:
    """Let `vouch` raise for the first agent that asks now and would ask nobody on the fallback's target."""
    for agent in agents:
        is_moved = agent.cli_type == fallback.cli_type and agent.fallback is None
        if is_moved and is_let_loose(agent, cli_types, fallback.target):
            who = f"agent {agent.agent_id!r}, which asks,"
            vouch(f"moving {who} to {fallback.target}, which does anything unasked,")
