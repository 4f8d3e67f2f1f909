"""Disabled CLI types, agents that are sent elsewhere, and pauses: they outlive the broker."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from kokino.agents.model import Agent, Fallback, Pause, Scope
from kokino.storage.schema import agent_fallbacks, fallbacks, pauses


def disabled(conn: Connection) -> dict[str, Fallback]:
    """Every disabled CLI type, by name."""
    return {
        row.cli_type: _fallback(row) for row in conn.execute(select(fallbacks).order_by(fallbacks.c.since))
    }


def forced(conn: Connection) -> dict[str, Fallback]:
    """Every agent that is sent elsewhere by name, by its id."""
    query = select(agent_fallbacks).order_by(agent_fallbacks.c.since)
    return {row.agent_id: _fallback(row) for row in conn.execute(query)}


def holding(conn: Connection, agent: Agent) -> list[Fallback]:
    """What sends an agent elsewhere at this moment, by its name or by that of its CLI type."""
    found = (forced(conn).get(agent.agent_id), disabled(conn).get(agent.cli_type))
    return [one for one in found if one is not None and one.cli_type == agent.cli_type]


def everything(conn: Connection) -> list[Fallback]:
    """All of them, those of CLI types first."""
    return [*disabled(conn).values(), *forced(conn).values()]


def disable(conn: Connection, fallback: Fallback) -> None:
    """Disable a CLI type, or change what was said of one that is."""
    enable(conn, fallback.cli_type)
    conn.execute(insert(fallbacks).values(cli_type=fallback.cli_type, **_values(fallback)))


def enable(conn: Connection, cli_type: str) -> bool:
    """Enable a CLI type again; False when it was not disabled."""
    return conn.execute(delete(fallbacks).where(fallbacks.c.cli_type == cli_type)).rowcount > 0


def force(conn: Connection, fallback: Fallback) -> None:
    """Send one agent elsewhere, or change what was said of one that is."""
    agent_id = str(fallback.agent_id)
    clear(conn, agent_id)
    own = {"agent_id": agent_id, "cli_type": fallback.cli_type, "is_automatic": fallback.is_automatic}
    conn.execute(insert(agent_fallbacks).values(**own, **_values(fallback)))


def clear(conn: Connection, agent_id: str) -> bool:
    """Let one agent run where it is meant to; False when it was not sent elsewhere."""
    return conn.execute(delete(agent_fallbacks).where(agent_fallbacks.c.agent_id == agent_id)).rowcount > 0


def note_probe(conn: Connection, fallback: Fallback, execution_id: str) -> None:
    """A probe whether what was disabled works again has begun."""
    table = fallbacks if fallback.agent_id is None else agent_fallbacks
    key = (
        fallbacks.c.cli_type == fallback.cli_type
        if fallback.agent_id is None
        else agent_fallbacks.c.agent_id == fallback.agent_id
    )
    conn.execute(update(table).where(key).values(probe_execution_id=execution_id, probe_due_at=None))


def judge_probe(
    conn: Connection, execution_id: str, *, good: int, outcome: str, at: datetime, due_at: datetime
) -> None:
    """Note how a probe ended, unless what it asked for was enabled or disabled anew meanwhile."""
    for table in (fallbacks, agent_fallbacks):
        conn.execute(
            update(table)
            .where(table.c.probe_execution_id == execution_id)
            .values(
                probe_execution_id=None,
                probe_due_at=due_at,
                probes_good=good,
                probe_last_at=at,
                probe_last_outcome=outcome,
            )
        )


def paused(conn: Connection) -> list[Pause]:
    """Every pause, the oldest first."""
    return [_pause(row) for row in conn.execute(select(pauses).order_by(pauses.c.since))]


def pause_of(conn: Connection, scope: Scope, scope_id: str) -> Pause | None:
    """The pause of exactly this scope, or None."""
    query = select(pauses).where(pauses.c.scope == scope.value, pauses.c.scope_id == scope_id)
    row = conn.execute(query).one_or_none()
    return None if row is None else _pause(row)


def pause(conn: Connection, wanted: Pause) -> None:
    """Set a pause in the place of the one that is there."""
    resume(conn, wanted.scope, wanted.scope_id)
    conn.execute(
        insert(pauses).values(
            scope=wanted.scope.value,
            scope_id=wanted.scope_id,
            reason=wanted.reason,
            since=wanted.since,
            set_by=wanted.set_by,
            ends_at=wanted.ends_at,
        )
    )


def resume(conn: Connection, scope: Scope, scope_id: str) -> bool:
    """Lift a pause; False when there was none."""
    lifted = delete(pauses).where(pauses.c.scope == scope.value, pauses.c.scope_id == scope_id)
    return conn.execute(lifted).rowcount > 0


def _values(fallback: Fallback) -> dict[str, Any]:
    """What both tables hold."""
    return {
        "reason": fallback.reason,
        "since": fallback.since,
        "target": fallback.target,
        "set_by": fallback.set_by,
        "probe_due_at": fallback.probe_due_at,
        "probes_good": fallback.probes_good,
        "probe_execution_id": fallback.probe_execution_id,
        "probe_last_at": fallback.probe_last_at,
        "probe_last_outcome": fallback.probe_last_outcome,
    }


def _fallback(row: Row[Any]) -> Fallback:
    return Fallback(
        cli_type=row.cli_type,
        agent_id=getattr(row, "agent_id", None),
        is_automatic=getattr(row, "is_automatic", False),
        reason=row.reason,
        since=row.since,
        target=row.target,
        set_by=row.set_by,
        probe_due_at=row.probe_due_at,
        probes_good=row.probes_good,
        probe_execution_id=row.probe_execution_id,
        probe_last_at=row.probe_last_at,
        probe_last_outcome=row.probe_last_outcome,
    )


def _pause(row: Row[Any]) -> Pause:
    return Pause(
        scope=Scope(row.scope),
        scope_id=row.scope_id,
        reason=row.reason,
        since=row.since,
        set_by=row.set_by,
        ends_at=row.ends_at,
    )
