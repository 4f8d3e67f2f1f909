"""Send one agent round its own way by name, and back: by somebody, or by its open circuit breaker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from kokino.agents import circuit_store, circuits, store, traffic_store
from kokino.agents.breaker import Circuit, CircuitState, in_tmux
from kokino.agents.failures import FailureKind
from kokino.agents.model import Agent, CliType, Fallback
from kokino.agents.routing import PARK, TMUX, named_target, target_of, why_not_unasked
from kokino.errors import Conflict
from kokino.storage import Storage
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event, EventType

log = structlog.get_logger(__name__)

#: Who sends an agent elsewhere here.
BREAKER = "circuit breaker"


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


def wants_round(agent: Agent, circuit: Circuit, cli_types: Mapping[str, CliType]) -> bool:
    """True where the open circuit of an agent's own way shall send it elsewhere.

    Not to tmux for a login that is refused: there it is the same one.
    """
    cli_type = cli_types.get(agent.cli_type)
    if cli_type is None or circuit.state is CircuitState.CLOSED or circuit.cli_type != agent.cli_type:
        return False
    wished = cli_type.breaker_fallback if agent.breaker_fallback is None else agent.breaker_fallback
    is_login = circuit.last_kind == FailureKind.AUTH.value
    return wished and not (is_login and (agent.fallback or TMUX) == TMUX)


class BreakerFallbacks:
    """The engine's module that sends agents elsewhere whose circuit breaker has opened."""

    name = "breaker-fallbacks"

    def __init__(
        self,
        storage: Storage,
        cli_types: Mapping[str, CliType],
        *,
        first_probe: timedelta,
        on_change: Callable[[], None],
    ) -> None:
        self._storage = storage
        self._cli_types = cli_types
        self._first_probe = first_probe
        self._on_change = on_change

    async def run(self, now: datetime) -> datetime | None:
        """Look at every open circuit; nothing is due by itself."""
        if await self._storage.read(self._wanted):
            sent = await self._storage.write(lambda conn: self._send(conn, now))
            for agent_id in sent:
                log.warning("an open circuit breaker sends an agent elsewhere", agent=agent_id)
            self._on_change()
        return None

    def _wanted(self, conn: Connection) -> list[tuple[Agent, Circuit]]:
        opened = circuit_store.not_closed(conn)
        forced = traffic_store.forced(conn) if opened else {}
        found = ((store.get(conn, agent_id), circuit) for (agent_id, _), circuit in opened.items())
        return [
            (agent, circuit)
            for agent, circuit in found
            if agent is not None
            and agent.agent_id not in forced
            and wants_round(agent, circuit, self._cli_types)
            and fault_in(conn, agent, agent.fallback, self._cli_types) is None
        ]

    def _send(self, conn: Connection, now: datetime) -> list[str]:
        wanted = self._wanted(conn)
        for agent, circuit in wanted:
            reason = f"{circuit.failures} failures in a row, the last one {circuit.last_kind}"
            fallback = Fallback(
                cli_type=agent.cli_type,
                agent_id=agent.agent_id,
                reason=reason,
                since=now,
                target=None,
                set_by=BREAKER,
                is_automatic=True,
                probe_due_at=now + self._first_probe,
            )
            force(conn, agent, fallback, self._cli_types)
        return [agent.agent_id for agent, _ in wanted]
