"""``/agents/circuits/status`` and ``/agents/{id}/circuit/reset``: see circuit breakers, and close them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection

from kokino.agents import breaker, circuit_store, store
from kokino.agents.breaker import Circuit, CircuitState
from kokino.agents.circuit_store import ByAgent
from kokino.agents.model import Agent
from kokino.api.routing import router_of
from kokino.api.services import Caller, Given
from kokino.api.shapes import Shape, Time

router = router_of("agents", prefix="/agents")


class CircuitShape(Shape):
    """The circuit breaker of one agent on one CLI type."""

    agent_id: str
    #: What it ran on: its own CLI type, or one that a fallback moved it to.
    cli_type: str
    #: ``closed``, ``open`` or ``half_open``.
    state: str
    #: Counted failures since the last success.
    failures: int
    last_failure_at: Time | None
    last_kind: str | None
    #: When it opened, and from when on one execution may try; null while it is closed.
    opened_at: Time | None
    retry_at: Time | None


class Circuits(Shape):
    """All circuit breakers."""

    circuits: list[CircuitShape]


class CircuitsReset(Shape):
    """What a reset did. Resetting twice is as good as once."""

    agent_id: str
    status: str
    #: Circuit breakers that were open or half open before.
    closed: int


@router.get("/circuits/status")
async def status(given: Given) -> Circuits:
    """Each agent's circuit breaker on its own CLI type, and those on others that are not closed."""

    def read(conn: Connection) -> Circuits:
        known, now = circuit_store.everything(conn), given.clock.now()
        return Circuits(
            circuits=[
                _shape(circuit, now)
                for agent in store.everyone(conn)
                for circuit in _circuits_of(agent, known)
            ]
        )

    return await given.storage.read(read)


@router.post("/{agent_id}/circuit/reset")
async def reset(agent_id: str, given: Given, caller: Caller) -> CircuitsReset:
    """Close the agent's circuit breakers and forget its failures; also when none was open."""
    closed = await given.agents.reset_circuits(agent_id, by=caller.subject)
    return CircuitsReset(agent_id=agent_id, status="closed", closed=closed)


def _circuits_of(agent: Agent, known: ByAgent) -> Iterator[Circuit]:
    own = (agent.agent_id, agent.cli_type)
    yield known.get(own, Circuit(agent_id=agent.agent_id, cli_type=agent.cli_type))
    for key, circuit in sorted(known.items()):
        if key[0] == agent.agent_id and key != own and circuit.state is not CircuitState.CLOSED:
            yield circuit


def _shape(circuit: Circuit, now: datetime) -> CircuitShape:
    return CircuitShape(
        agent_id=circuit.agent_id,
        cli_type=circuit.cli_type,
        state=breaker.state_at(circuit, now).value,
        failures=circuit.failures,
        last_failure_at=circuit.last_failure_at,
        last_kind=circuit.last_kind,
        opened_at=circuit.opened_at,
        retry_at=circuit.retry_at,
    )
