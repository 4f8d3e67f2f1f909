"""Send an agent elsewhere whose own circuit breaker has opened, where that is wished."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from kokino.agents import circuit_store, fallbacks, store, traffic_store
from kokino.agents.breaker import Circuit, CircuitState
from kokino.agents.failures import FailureKind
from kokino.agents.model import Agent, CliType, Fallback
from kokino.agents.routing import TMUX
from kokino.storage import Storage

log = structlog.get_logger(__name__)

#: Who sends an agent elsewhere here.
BREAKER = "circuit breaker"


def wants_fallback(agent: Agent, circuit: Circuit, cli_types: Mapping[str, CliType]) -> bool:
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
        found = ((store.get(conn, agent_id), circuit) for (agent_id, _), circuit in opened.items())
        return [
            (agent, circuit)
            for agent, circuit in found
            if agent is not None
            # Who goes elsewhere already goes where somebody has said, of it or of its CLI type.
            and not traffic_store.holding(conn, agent)
            and wants_fallback(agent, circuit, self._cli_types)
            and fallbacks.fault_in(conn, agent, agent.fallback, self._cli_types) is None
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
            fallbacks.force(conn, agent, fallback, self._cli_types)
        return [agent.agent_id for agent, _ in wanted]
