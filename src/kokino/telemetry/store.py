"""Events and what is asked of them. Every function runs inside `Storage.read` or `Storage.write`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, tuple_

from kokino.storage.schema import events
from kokino.telemetry import latest_store, rollup_store
from kokino.telemetry.model import END_TYPES, RAN_BADLY, Event, Scope, Totals

#: The event types that count against a CLI type or an agent.
FAILURE_TYPES = [END_TYPES[state].value for state in sorted(RAN_BADLY)]
#: Kinds of those that never ran.
_REFUSED_KINDS = frozenset({"refused", "lock_timeout"})
#: Built once: with the values in it, building it costs more than running it.
_INSERT = events.insert().returning(events.c.event_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """How often one CLI type or agent failed in a window, and how it last did.

    Only executions that ran tell of that; the refused ones are counted for themselves.
    """

    #: The CLI type or agent.
    id: str
    #: Bad executions that ran.
    failures: int
    #: Valid executions that ran.
    total: int
    #: Those that were not let run.
    refused: int
    #: Failures over valid ones, 0 to 1.
    failure_rate: float
    #: Failures by kind.
    kinds: Mapping[str, int]
    #: What the latest failure said.
    last_error: str | None
    #: When that was; None without a failure.
    last_failure_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLatency:
    """How long one agent's executions took in a window."""

    agent_id: str
    #: Executions that ran and were neither cancelled nor labelled.
    count: int
    #: Quantiles with the error that `telemetry.histogram` states.
    p50_ms: int
    p95_ms: int
    p99_ms: int
    #: The slowest one in a whole bucket or edge of the window.
    max_ms: int


def append(conn: Connection, event: Event) -> int:
    """Write an event down, with the sums that it changes, and return its number."""
    values = {name: getattr(event, name) for name in Event.__slots__ if name != "event_id"}
    number = int(conn.execute(_INSERT, values).scalar_one())
    rollup_store.add(conn, event)
    if event.label is None:
        latest_store.note(conn, event, number)
    return number


def message(conn: Connection, event_id: int) -> str | None:
    """What was said of one event; None where nothing was, or it is too old to be kept."""
    return conn.scalar(select(events.c.message).where(events.c.event_id == event_id))


def recent(
    conn: Connection,
    *,
    type: str | None = None,
    agent_id: str | None = None,
    cli_type: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
    before_id: int | None = None,
) -> list[Event]:
    """The latest events, newest first; `before_id` goes on after the last one of an earlier answer."""
    query = select(events).where(*_matching(type, agent_id, cli_type, since))
    if before_id is not None:
        last = select(events.c.at, events.c.event_id).where(events.c.event_id == before_id).scalar_subquery()
        query = query.where(tuple_(events.c.at, events.c.event_id) < last)
    query = query.order_by(events.c.at.desc(), events.c.event_id.desc()).limit(limit)
    return [Event.from_row(row) for row in conn.execute(query)]


def failures_by(conn: Connection, *, scope: Scope, since: datetime, until: datetime) -> list[Failures]:
    """Every CLI type or agent that was asked something in [since, until), most failures first."""
    last = _last_failures(conn, scope, since, until)
    found = rollup_store.totals_by(conn, since, until, scope)
    rows = [_failures(owner, sums, last.get(owner)) for owner, sums in found.items()]
    return sorted((row for row in rows if row.total or row.refused), key=lambda row: (-row.failures, row.id))


def latency_by_agent(conn: Connection, *, since: datetime, until: datetime) -> list[AgentLatency]:
    """Every agent whose executions ran in [since, until), slowest first by p95."""
    found = rollup_store.totals_by(conn, since, until, Scope.AGENT)
    rows = [_latency(agent_id, sums) for agent_id, sums in found.items() if sums.durations.count]
    return sorted(rows, key=lambda row: (-row.p95_ms, -row.max_ms, row.agent_id))


def _matching(
    type: str | None, agent_id: str | None, cli_type: str | None, since: datetime | None
) -> list[ColumnElement[bool]]:
    wanted = {events.c.type: type, events.c.agent_id: agent_id, events.c.cli_type: cli_type}
    conditions: list[ColumnElement[bool]] = [
        column == value for column, value in wanted.items() if value is not None
    ]
    return conditions if since is None else [*conditions, events.c.at >= since]


def _last_failures(conn: Connection, scope: Scope, since: datetime, until: datetime) -> dict[str, Row[Any]]:
    """The latest failure of each id that ran."""
    owner = events.c.cli_type if scope is Scope.CLI else events.c.agent_id
    newest = func.row_number().over(
        partition_by=owner, order_by=(events.c.at.desc(), events.c.event_id.desc())
    )
    ranked = (
        select(owner.label("id"), events.c.message, events.c.kind, events.c.at, newest.label("place"))
        .where(events.c.type.in_(FAILURE_TYPES), events.c.label.is_(None))
        .where(events.c.at >= since, events.c.at < until)
        .subquery()
    )
    return {row.id: row for row in conn.execute(select(ranked).where(ranked.c.place == 1))}


def _failures(id: str, sums: Totals, last: Row[Any] | None) -> Failures:
    refused = sums.states.get("refused", 0)
    failures, total = sums.bad - refused, sums.total - refused
    return Failures(
        id=id,
        failures=failures,
        total=total,
        refused=refused,
        failure_rate=failures / total if total else 0.0,
        kinds={kind: count for kind, count in sums.kinds.items() if kind not in _REFUSED_KINDS},
        last_error=None if last is None else last.message or last.kind,
        last_failure_at=None if last is None else last.at,
    )


def _latency(agent_id: str, sums: Totals) -> AgentLatency:
    p50, p95, p99 = (sums.durations.quantile(q) or 0 for q in (0.50, 0.95, 0.99))
    return AgentLatency(
        agent_id=agent_id,
        count=sums.durations.count,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=sums.durations.max_ms,
    )
