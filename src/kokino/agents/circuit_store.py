"""Circuit breakers in the database: an open one outlives the broker."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from kokino.agents.breaker import Circuit, CircuitState
from kokino.storage.schema import circuits

#: Circuits by agent and CLI type.
ByAgent = dict[tuple[str, str], Circuit]


def get(conn: Connection, agent_id: str, cli_type: str) -> Circuit:
    """The circuit; a closed one where nothing is known."""
    row = conn.execute(select(circuits).where(*_key(agent_id, cli_type))).one_or_none()
    return Circuit(agent_id=agent_id, cli_type=cli_type) if row is None else _circuit(row)


def put(conn: Connection, circuit: Circuit) -> None:
    """Remember the circuit as it is now."""
    values = {
        "state": circuit.state.value,
        "failures": circuit.failures,
        "last_failure_at": circuit.last_failure_at,
        "last_kind": circuit.last_kind,
        "opened_at": circuit.opened_at,
        "retry_at": circuit.retry_at,
        "trial_execution_id": circuit.trial_id,
    }
    key = {"agent_id": circuit.agent_id, "cli_type": circuit.cli_type}
    changed = conn.execute(update(circuits).where(*_key(**key)).values(**values))
    if not changed.rowcount:
        conn.execute(insert(circuits).values(**key, **values))


def everything(conn: Connection) -> ByAgent:
    """Every circuit of which something is known."""
    return _by_agent([_circuit(row) for row in conn.execute(select(circuits))])


def not_closed(conn: Connection, *, cli_type: str | None = None) -> ByAgent:
    """Those that are open or half open, on one CLI type where one is named."""
    query = select(circuits).where(circuits.c.state != CircuitState.CLOSED.value)
    if cli_type is not None:
        query = query.where(circuits.c.cli_type == cli_type)
    return _by_agent([_circuit(row) for row in conn.execute(query)])


def of_agent(conn: Connection, agent_id: str) -> list[Circuit]:
    """All circuits of one agent, open or not."""
    query = select(circuits).where(circuits.c.agent_id == agent_id).order_by(circuits.c.cli_type)
    return [_circuit(row) for row in conn.execute(query)]


def free_trial(conn: Connection, execution_id: str) -> None:
    """The execution will not try after all: the next one may."""
    conn.execute(
        update(circuits).where(circuits.c.trial_execution_id == execution_id).values(trial_execution_id=None)
    )


def forget(conn: Connection, agent_id: str) -> None:
    """Drop all that is known of an agent's failures."""
    conn.execute(delete(circuits).where(circuits.c.agent_id == agent_id))


def _key(agent_id: str, cli_type: str) -> tuple[Any, ...]:
    return circuits.c.agent_id == agent_id, circuits.c.cli_type == cli_type


def _by_agent(found: list[Circuit]) -> ByAgent:
    return {(circuit.agent_id, circuit.cli_type): circuit for circuit in found}


def _circuit(row: Row[Any]) -> Circuit:
    return Circuit(
        agent_id=row.agent_id,
        cli_type=row.cli_type,
        state=CircuitState(row.state),
        failures=row.failures,
        last_failure_at=row.last_failure_at,
        last_kind=row.last_kind,
        opened_at=row.opened_at,
        retry_at=row.retry_at,
        trial_id=row.trial_execution_id,
    )
