"""What belongs together when a circuit breaker changes, as one transaction's worth of rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from kokino.agents import breaker, circuit_store
from kokino.agents.breaker import Circuit, CircuitState, Verdict
from kokino.clock import iso
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event, EventType

_TYPES = {
    CircuitState.OPEN: EventType.CIRCUIT_OPENED,
    CircuitState.HALF_OPEN: EventType.CIRCUIT_HALF_OPENED,
    CircuitState.CLOSED: EventType.CIRCUIT_CLOSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trier:
    """The execution by which a circuit changes."""

    execution_id: str
    agent_id: str
    #: What it ran on.
    cli_type: str
    account: str


def note_end(
    conn: Connection, ended: Trier, verdict: Verdict, *, kind: str | None, error: str | None, now: datetime
) -> None:
    """Count an execution's end for or against its agent."""
    before = circuit_store.get(conn, ended.agent_id, ended.cli_type)
    changed = breaker.after(before, verdict, execution_id=ended.execution_id, kind=kind, at=now)
    said = {
        CircuitState.OPEN: f"{changed.failures} failures in a row, the last one {kind}: {error}",
        CircuitState.CLOSED: "an execution succeeded",
    }
    _change(conn, before, changed, said.get(changed.state), by=ended, now=now)


def begin_trial(conn: Connection, circuit: Circuit, trial: Trier, *, now: datetime) -> None:
    """Let an execution try whether its agent works again."""
    trying = breaker.tried_by(circuit, trial.execution_id)
    _change(conn, circuit, trying, "one execution tries whether it works again", by=trial, now=now)


def close(conn: Connection, found: Iterable[Circuit], reason: str, *, now: datetime) -> int:
    """Close circuits, failures forgotten; how many of them were not closed."""
    opened = 0
    for circuit in found:
        _change(conn, circuit, breaker.closed(circuit), reason, by=None, now=now)
        opened += circuit.state is not CircuitState.CLOSED
    return opened


def _change(
    conn: Connection,
    before: Circuit,
    changed: Circuit,
    reason: str | None,
    *,
    by: Trier | None,
    now: datetime,
) -> None:
    if changed == before:
        return  # most ends: a success after a success
    circuit_store.put(conn, changed)
    if changed.state is not before.state:
        telemetry.append(conn, _event(before, changed, reason, by, now))


def _event(before: Circuit, changed: Circuit, reason: str | None, by: Trier | None, now: datetime) -> Event:
    retry_at = None if changed.retry_at is None else iso(changed.retry_at)
    return Event(
        type=_TYPES[changed.state],
        at=now,
        agent_id=changed.agent_id,
        cli_type=changed.cli_type,
        account=by.account if by else None,
        execution_id=by.execution_id if by else None,
        kind=changed.last_kind if changed.state is CircuitState.OPEN else None,
        message=reason,
        data={"from": before.state.value, "failures": changed.failures, "retryAt": retry_at},
    )
