"""``/agents``: register, look at, and end the sessions of agents."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import Field
from sqlalchemy import Connection

from kokino import ids
from kokino.agents import printable, store
from kokino.agents.model import (
    OWN_AGENTS,
    Agent,
    Limits,
    Mode,
    Permissions,
    account_of,
)
from kokino.agents.names import CliTypeName
from kokino.agents.retries import Retries
from kokino.agents.routing import PARK, TMUX
from kokino.agents.service import required
from kokino.api.guard import check_admin
from kokino.api.routing import router_of
from kokino.api.services import Caller, Given
from kokino.api.shapes import Body, Cursor, Page, Shape, Time
from kokino.clock import MILLISECOND
from kokino.conversations import store as conversation_store
from kokino.errors import Fault, Invalid
from kokino.executions import store as execution_store
from kokino.executions.output import store as record_store

router = router_of("agents")

_DEFAULT = Limits()
Milliseconds = Annotated[int, Field(gt=0, le=7 * 24 * 3_600_000)]


class LimitsBody(Body):
    """``limits``: what one execution may take. Lengths are milliseconds."""

    timeout_ms: Milliseconds = _DEFAULT.timeout // MILLISECOND
    idle_ms: Milliseconds = _DEFAULT.idle // MILLISECOND
    grace_ms: Milliseconds = _DEFAULT.grace // MILLISECOND
    queue: Annotated[int, Field(ge=0, le=100_000)] = _DEFAULT.queue
    queue_timeout_ms: Milliseconds = _DEFAULT.queue_timeout // MILLISECOND
    memory_mb: Annotated[int, Field(ge=16)] = _DEFAULT.memory_mb
    processes: Annotated[int, Field(ge=1, le=100_000)] = _DEFAULT.processes
    output_mb: Annotated[int, Field(ge=1)] = _DEFAULT.output_mb
    spend_usd: Annotated[float, Field(ge=0)] | None = _DEFAULT.spend_usd


class AgentBody(Body):
    """An agent to register."""

    agent_id: str
    cli_type: CliTypeName
    cwd: Path
    mode: Mode = Mode.HEADLESS
    model: str | None = None
    env: dict[str, str] = Field(default_factory=dict)
    flags: list[str] = Field(default_factory=list)
    limits: LimitsBody = Field(default_factory=LimitsBody)
    fallback: CliTypeName | None = None
    breaker_fallback: bool | None = None
    account: str | None = None
    pool: str = "default"
    retries: Retries = Field(default_factory=dict)
    permissions: Permissions = Permissions.ASK
    #: In mode shadow: the share of executions that also run headless.
    shadow_sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    #: From which similarity on two answers are the same.
    shadow_threshold: Annotated[float, Field(ge=0, le=1)] = 0.95


class AgentShape(Shape):
    """An agent. Values of ``env`` may be secrets: only its names are shown."""

    agent_id: str
    cli_type: str
    cwd: str
    mode: str
    model: str | None
    env: list[str]
    flags: list[str]
    limits: dict[str, Any]
    fallback: str | None
    breaker_fallback: bool | None
    account: str
    pool: str
    retries: dict[str, int]
    permissions: str
    shadow_sample: float
    shadow_threshold: float
    source: str
    registered_at: Time


class TurnShape(Shape):
    """One thing that was said."""

    turn_id: str
    conversation_id: str
    number: int
    execution_id: str | None
    role: str
    content: str
    said_at: Time


class LogLine(Shape):
    """One line that an agent's CLI wrote."""

    execution_id: str
    number: int
    stream: str
    body: str
    written_at: Time


class Logs(Shape):
    """The end of what an agent's CLI wrote, oldest line first."""

    agent_id: str
    lines: list[LogLine]


class SessionEnded(Shape):
    """What ending a session did."""

    agent_id: str
    status: str
    sessions_forgotten: int
    cancelled_execution_id: str | None


@router.post("/agents/register", status_code=201)
async def register(body: AgentBody, given: Given, caller: Caller) -> AgentShape:
    """Add an agent, or change the one with its id. One that asks for no permission needs the scope admin."""
    if faults := list(_faults(body, given.cli_types)):
        named = "; ".join(f"{fault.field}: {fault.message}" for fault in faults)
        raise Invalid(named, faults)
    agent = await given.agents.register(_agent(body, given), vouch=partial(check_admin, caller))
    return shape(agent)


@router.get("/agents")
async def everyone(
    given: Given, limit: Annotated[int, Query(ge=1, le=1000)] = 100, cursor: str = ""
) -> Page[AgentShape]:
    """All agents, by id."""
    found = await given.storage.read(lambda conn: store.page(conn, after=cursor, limit=limit + 1))
    more = found[limit - 1].agent_id if len(found) > limit else None
    return Page(items=[shape(agent) for agent in found[:limit]], next_cursor=more)


@router.get("/agents/{agent_id}")
async def one(agent_id: str, given: Given) -> AgentShape:
    """One agent."""
    return shape(await given.agents.get(agent_id))


@router.delete("/agents/{agent_id}", status_code=204)
async def forget(agent_id: str, given: Given) -> Response:
    """Cancel all that it runs, then forget it; its executions and conversations stay."""
    await given.executions.forget_agent(agent_id)
    return Response(status_code=204)


@router.post("/agents/{agent_id}/end-session")
async def end_session(agent_id: str, given: Given) -> SessionEnded:
    """Cancel what runs and forget the session: the next execution starts a fresh one."""
    cancelled, forgotten = await given.executions.end_session(agent_id)
    return SessionEnded(
        agent_id=agent_id,
        status="ended" if forgotten or cancelled else "no_session",
        sessions_forgotten=forgotten,
        cancelled_execution_id=cancelled.execution_id if cancelled else None,
    )


@router.get("/agents/{agent_id}/conversation")
async def conversation(
    agent_id: str, given: Given, limit: Annotated[int, Query(ge=1, le=1000)] = 100, cursor: Cursor = 0
) -> Page[TurnShape]:
    """The turns of the agent's present conversation, in order."""

    def read(conn: Connection) -> Page[TurnShape]:
        required(conn, agent_id)
        present = execution_store.present_conversation(conn, agent_id)
        if present is None:
            return Page[TurnShape](items=[])
        found = conversation_store.turns_of(conn, present, after=cursor, limit=limit + 1)
        more = str(found[limit - 1].number) if len(found) > limit else None
        return Page(items=[TurnShape.model_validate(turn) for turn in found[:limit]], next_cursor=more)

    return await given.storage.read(read)


@router.get("/agents/{agent_id}/logs")
async def logs(agent_id: str, given: Given, lines: Annotated[int, Query(ge=1, le=10_000)] = 100) -> Logs:
    """The last lines that the agent's CLI wrote, over its latest executions."""

    def read(conn: Connection) -> Logs:
        required(conn, agent_id)
        latest = record_store.latest(conn, agent_id, limit=lines)
        return Logs(
            agent_id=agent_id,
            lines=[
                LogLine(
                    execution_id=execution_id,
                    number=record.number,
                    stream=record.stream,
                    body=record.body,
                    written_at=record.written_at,
                )
                for execution_id, record in latest
            ],
        )

    return await given.storage.read(read)


def shape(agent: Agent) -> AgentShape:
    """An agent as the API shows it."""
    return AgentShape(
        agent_id=agent.agent_id,
        cli_type=agent.cli_type,
        cwd=str(agent.cwd),
        mode=agent.mode.value,
        model=agent.model,
        env=sorted(agent.env),
        flags=list(agent.flags),
        limits=agent.limits.to_document(),
        fallback=agent.fallback,
        breaker_fallback=agent.breaker_fallback,
        account=agent.account,
        pool=agent.pool,
        retries={kind.value: times for kind, times in agent.retries.items()},
        permissions=agent.permissions.value,
        shadow_sample=agent.shadow_sample,
        shadow_threshold=agent.shadow_threshold,
        source=agent.source.value,
        registered_at=agent.registered_at,
    )


def _faults(body: AgentBody, cli_types: Mapping[str, Any]) -> list[Fault]:
    known = ", ".join(sorted(cli_types))
    faults = []
    if said := ids.fault_in(body.agent_id):
        faults.append(Fault(field="agentId", message=said))
    if body.agent_id.startswith(OWN_AGENTS):
        own = " and ".join(repr(prefix) for prefix in OWN_AGENTS)
        faults.append(Fault(field="agentId", message=f"{own} begin the broker's own agents' ids"))
    if said := ids.fault_in(body.pool):
        faults.append(Fault(field="pool", message=said))
    if body.cli_type not in cli_types:
        faults.append(
            Fault(field="cliType", message=f"there is no CLI type {body.cli_type!r}; known: {known}")
        )
    if body.fallback not in {None, PARK, TMUX, *cli_types}:
        faults.append(Fault(field="fallback", message=f"must be tmux, park or a CLI type; known: {known}"))
    if body.fallback == body.cli_type:
        faults.append(Fault(field="fallback", message="is its own CLI type; name tmux, park or another one"))
    missing = cli_types[body.cli_type].no_terminal if body.cli_type in cli_types else None
    if body.mode.of_caller is Mode.TMUX and missing is not None:
        faults.append(Fault(field="mode", message=missing))
    if said := _fault_of_folder(body.cwd):
        faults.append(Fault(field="cwd", message=said))
    if wrong := [name for name in body.env if not name or "=" in name]:
        faults.append(Fault(field="env", message=f"{wrong[0]!r} is no name of a variable"))
    if said := printable.fault_in_env(body.env):
        faults.append(Fault(field="env", message=said))
    return faults


def _fault_of_folder(folder: Path) -> str | None:
    if said := printable.fault_in(str(folder)):
        return said
    shown = repr(str(folder)[:200])
    if not folder.is_absolute():
        return f"{shown} must be an absolute path"
    try:
        is_folder = folder.is_dir()
    except OSError as error:
        return f"{shown} cannot be a folder: {error.strerror}"
    return None if is_folder else f"{shown} is no folder here; create it first"


def _agent(body: AgentBody, given: Given) -> Agent:
    return Agent(
        agent_id=body.agent_id,
        cli_type=body.cli_type,
        cwd=body.cwd,
        mode=body.mode,
        model=body.model,
        env=body.env,
        flags=tuple(body.flags),
        limits=Limits(
            timeout=timedelta(milliseconds=body.limits.timeout_ms),
            idle=timedelta(milliseconds=body.limits.idle_ms),
            grace=timedelta(milliseconds=body.limits.grace_ms),
            queue=body.limits.queue,
            queue_timeout=timedelta(milliseconds=body.limits.queue_timeout_ms),
            memory_mb=body.limits.memory_mb,
            processes=body.limits.processes,
            output_mb=body.limits.output_mb,
            spend_usd=body.limits.spend_usd,
        ),
        fallback=body.fallback,
        breaker_fallback=body.breaker_fallback,
        account=body.account or account_of(given.cli_types[body.cli_type], body.env),
        pool=body.pool,
        retries=body.retries,
        permissions=body.permissions,
        shadow_sample=body.shadow_sample,
        shadow_threshold=body.shadow_threshold,
        registered_at=given.clock.now(),
    )
