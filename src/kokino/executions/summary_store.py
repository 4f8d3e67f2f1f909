"""Executions without their prompts and answers, which may be megabytes: for pages that list many."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from kokino.agents.failures import FailureKind
from kokino.executions.model import State
from kokino.storage.schema import agents, executions


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """An execution as a line of a list; the fields are those of `Execution`."""

    execution_id: str
    agent_id: str
    cli_type: str
    state: State
    kind: FailureKind | None
    error: str | None
    label: str | None
    moved_from: str | None
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    cancel_requested_at: datetime | None
    waiting: Mapping[str, Any] | None

    @property
    def duration(self) -> timedelta | None:
        """From start to end; None for one that runs, or never did."""
        if self.started_at is None or self.ended_at is None:
            return None
        return self.ended_at - self.started_at


_COLUMNS = [executions.c[name] for name in Summary.__slots__]
_UNFINISHED = [State.QUEUED.value, State.RUNNING.value]


def running(conn: Connection) -> list[Summary]:
    """Every execution that runs, the first accepted first."""
    query = select(*_COLUMNS).where(executions.c.state == State.RUNNING.value)
    return _summaries(conn, query.order_by(executions.c.number))


def latest(conn: Connection, *, limit: int) -> list[Summary]:
    """The last `limit` executions that were accepted and do not run now, the newest first."""
    query = select(*_COLUMNS).where(executions.c.state != State.RUNNING.value)
    return _summaries(conn, query.order_by(executions.c.number.desc()).limit(limit))


def last_ended(conn: Connection) -> dict[str, Summary]:
    """What each registered agent finished last, by agent; those that never finished anything are left out."""
    # One look into the index for each agent, not a walk over all that ever ran.
    newest = (
        select(executions.c.number)
        .where(executions.c.agent_id == agents.c.agent_id, executions.c.state.not_in(_UNFINISHED))
        .order_by(executions.c.number.desc())
        .limit(1)
        .correlate(agents)
        .scalar_subquery()
    )
    query = select(*_COLUMNS).join_from(agents, executions, executions.c.number == newest)
    return {found.agent_id: found for found in _summaries(conn, query)}


def not_ended_before(conn: Connection, execution_ids: Collection[str], instant: datetime) -> list[str]:
    """Those of these ids whose executions have not ended, or ended at `instant` or later."""
    is_young = executions.c.ended_at.is_(None) | (executions.c.ended_at >= instant)
    query = select(executions.c.execution_id).where(executions.c.execution_id.in_(execution_ids), is_young)
    return list(conn.scalars(query))


def _summaries(conn: Connection, query: Select[Any]) -> list[Summary]:
    return [_summary(row) for row in conn.execute(query)]


def _summary(row: Row[Any]) -> Summary:
    values = {name: getattr(row, name) for name in Summary.__slots__}
    kind = None if row.kind is None else FailureKind(row.kind)
    return Summary(**{**values, "state": State(row.state), "kind": kind})
