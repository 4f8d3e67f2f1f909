"""``/api/metrics``: what happened, counted and listed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Query
from sqlalchemy import Connection

from kokino.agents import store as agent_store
from kokino.agents import traffic_store
from kokino.agents.model import Agent
from kokino.agents.model import Scope as PauseScope
from kokino.agents.names import CliTypeName
from kokino.api.routing import router_of
from kokino.api.services import Given, Services
from kokino.api.shapes import Cursor, Shape, Time, utc
from kokino.clock import MILLISECOND
from kokino.executions import store as execution_store
from kokino.telemetry import probe_store, store, streak_store
from kokino.telemetry.model import Counts, Scope

router = router_of("metrics")

#: How far back failures and latencies are looked for, in minutes: the window of the availability alert.
Minutes = Annotated[int, Query(ge=1, le=30 * 24 * 60, description="how far back to look")]
WINDOW = 60


class EventShape(Shape):
    """One event."""

    event_id: int | None
    type: str
    at: Time
    agent_id: str | None
    cli_type: str | None
    account: str | None
    execution_id: str | None
    label: str | None
    state: str | None
    kind: str | None
    duration_ms: int | None
    #: The most memory that its process tree took, and what its CLI type should stay under, in MiB.
    memory_mb: int | None
    memory_slo_mb: int | None
    message: str | None
    data: dict[str, Any] | None


class ProbeCountsShape(Shape):
    """Probes of a CLI type in the window."""

    good: int
    total: int


class FailuresShape(Shape):
    """How often a CLI type failed in the window; figures are of executions that ran."""

    cli_type: str
    #: The account that all its agents share; null where they use several.
    account: str | None
    failures: int
    total: int
    #: Not let run, and in none of the other figures: by a circuit breaker, for want of a way, after a wait.
    refused: int
    failure_rate: float
    #: Failures since its last success: tells an outage long before the rate does.
    failures_in_a_row: int
    kinds: dict[str, int]
    last_error: str | None
    last_failure_at: Time | None
    #: Taken out of use, so that no new failure can come from it.
    disabled: bool
    #: That account is paused: prompts wait, and are refused once they have waited long enough.
    parked: bool
    probes: ProbeCountsShape


class AgentFailuresShape(Shape):
    """How often an agent failed in the window; figures are of executions that ran."""

    agent_id: str
    #: Its own CLI type, whatever it runs on now.
    cli_type: str | None
    account: str | None
    failures: int
    total: int
    #: Not let run, and in none of the other figures: by a circuit breaker, for want of a way, after a wait.
    refused: int
    failure_rate: float
    failures_in_a_row: int
    kinds: dict[str, int]
    last_error: str | None
    last_failure_at: Time | None
    #: Its CLI type is out of use.
    disabled: bool


class LatencyShape(Shape):
    """How long an agent's executions took in the window."""

    agent_id: str
    count: int
    p50_ms: int
    p95_ms: int
    p99_ms: int
    max_ms: int


@router.get("/api/metrics/events")
async def events(  # noqa: PLR0917 - query parameters, which the framework hands over by name
    given: Given,
    type: str | None = None,
    agent: str | None = None,
    cli: CliTypeName | None = None,
    since: datetime | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Cursor | None = None,
) -> list[EventShape]:
    """The latest events, newest first; ``cursor`` is the last event's id of an earlier answer."""
    after = utc(since) if since else None
    found = await given.storage.read(
        lambda conn: store.recent(
            conn, type=type, agent_id=agent, cli_type=cli, since=after, limit=limit, before_id=cursor
        )
    )
    return [EventShape.model_validate(event) for event in found]


@router.get("/api/metrics/failures/by-cli")
async def failures_by_cli(given: Given, minutes: Minutes = WINDOW) -> list[FailuresShape]:
    """Failures of each CLI type that was asked something in the window, most failures first."""
    since, until = _window(given, minutes)

    def read(conn: Connection) -> list[FailuresShape]:
        disabled = traffic_store.disabled(conn)
        accounts, parked = _accounts_by_cli(conn), _parked(conn, given.clock.now())
        streaks = streak_store.failures_in_a_row(conn, scope=Scope.CLI, since=since)
        probed = probe_store.probes_by_cli(conn, since=since, until=until)
        rows = {row.id: row for row in store.failures_by(conn, scope=Scope.CLI, since=since, until=until)}
        return [
            FailuresShape(
                cli_type=name,
                account=accounts.get(name),
                failures_in_a_row=streaks.get(name, 0),
                disabled=name in disabled,
                parked=accounts.get(name) in parked,
                probes=ProbeCountsShape.model_validate(probed.get(name, Counts())),
                **_counts(rows.get(name)),
            )
            for name in [*rows, *(name for name in sorted(probed) if name not in rows)]
        ]

    return await given.storage.read(read)


@router.get("/api/metrics/failures/by-agent")
async def failures_by_agent(given: Given, minutes: Minutes = WINDOW) -> list[AgentFailuresShape]:
    """Failures of each agent that was asked something in the window, most failures first."""
    since, until = _window(given, minutes)

    def read(conn: Connection) -> list[AgentFailuresShape]:
        disabled = traffic_store.disabled(conn)
        agents = {agent.agent_id: agent for agent in agent_store.everyone(conn)}
        streaks = streak_store.failures_in_a_row(conn, scope=Scope.AGENT, since=since)
        return [
            _agent_failures(row, agents.get(row.id), streaks.get(row.id, 0), disabled)
            for row in store.failures_by(conn, scope=Scope.AGENT, since=since, until=until)
        ]

    return await given.storage.read(read)


@router.get("/api/metrics/latency/by-agent")
async def latency_by_agent(given: Given, minutes: Minutes = WINDOW) -> list[LatencyShape]:
    """How long each agent's executions took in the window, slowest first."""
    since, until = _window(given, minutes)
    rows = await given.storage.read(lambda conn: store.latency_by_agent(conn, since=since, until=until))
    return [LatencyShape.model_validate(row) for row in rows]


def running_for(conn: Connection, now: datetime) -> list[timedelta]:
    """How long each of the users' running executions has run so far."""
    return [now - one.started_at for one in execution_store.users_running(conn)]


def _window(given: Services, minutes: int) -> tuple[datetime, datetime]:
    until = given.clock.now() + MILLISECOND
    return until - timedelta(minutes=minutes), until


def _accounts_by_cli(conn: Connection) -> dict[str, str]:
    """The account of each CLI type whose agents all share one."""
    accounts: dict[str, set[str]] = {}
    for agent in agent_store.everyone(conn):
        accounts.setdefault(agent.cli_type, set()).add(agent.account)
    return {cli_type: next(iter(shared)) for cli_type, shared in accounts.items() if len(shared) == 1}


def _parked(conn: Connection, now: datetime) -> set[str | None]:
    """The accounts that are paused."""
    pauses = traffic_store.paused(conn)
    return {one.scope_id for one in pauses if one.scope is PauseScope.ACCOUNT and not one.is_over(now)}


def _agent_failures(
    row: store.Failures, agent: Agent | None, streak: int, disabled: Mapping[str, object]
) -> AgentFailuresShape:
    return AgentFailuresShape(
        agent_id=row.id,
        cli_type=agent.cli_type if agent else None,
        account=agent.account if agent else None,
        failures_in_a_row=streak,
        disabled=agent is not None and agent.cli_type in disabled,
        **_counts(row),
    )


def _counts(row: store.Failures | None) -> dict[str, Any]:
    """A row's figures; all zero for what only probes ran on."""
    return {
        "failures": row.failures if row else 0,
        "total": row.total if row else 0,
        "refused": row.refused if row else 0,
        "failure_rate": row.failure_rate if row else 0.0,
        "kinds": dict(row.kinds) if row else {},
        "last_error": row.last_error if row else None,
        "last_failure_at": row.last_failure_at if row else None,
    }
