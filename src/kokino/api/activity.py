"""``/agents/.../status``: what the agents do at this moment, and what their processes take."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import Connection

from kokino.agents import lock_store, session_store, store
from kokino.agents.model import Agent, Lock, Session
from kokino.api.routing import router_of
from kokino.api.services import Given
from kokino.api.shapes import Shape, Time, WaitingShape, megabytes
from kokino.clock import MILLISECOND
from kokino.executions import summary_store
from kokino.executions.companion import lockers, owner_of
from kokino.executions.overdue import stuck
from kokino.executions.overdue.stuck import Activity
from kokino.executions.queue import store as queue_store
from kokino.executions.summary_store import Summary
from kokino.process.growth import UNKNOWN
from kokino.process.model import Sample, Started
from kokino.process.tree import usage

router = router_of("agents")


class SessionStatus(Shape):
    """What an agent does at this moment."""

    agent_id: str
    cli_type: str
    session_id: str | None
    has_session: bool
    locked: bool
    executing: bool
    execution_id: str | None
    execution_started_at: Time | None
    queue_length: int
    locked_for_ms: int | None
    #: The holder's fencing token, and when a LOCK_TIMEOUT was told of it; null until then.
    lock_token: int | None = None
    lock_overdue_at: Time | None = None
    #: When it last wrote something, and the tool call that it is in, as far as its records tell.
    last_event_at: Time | None = None
    silent_for_ms: int | None = None
    tool: str | None = None
    tool_for_ms: int | None = None
    #: How many times in a row it made the same tool call.
    repeated_calls: int = 0
    #: Why it does not get on, in a sentence; null while it does.
    stuck: str | None = None
    #: What its CLI waits for somebody to allow; null while it waits for nobody.
    waiting: WaitingShape | None = None


class ProcessShape(Shape):
    """The processes of a running execution."""

    agent_id: str
    execution_id: str
    pid: int
    #: Resident memory of the tree; pages that processes share count once for each.
    memory_mb: float = Field(alias="memoryMB")
    #: The same with shared pages divided; null far from the limit, where nobody looks so closely.
    pss_mb: float | None = Field(alias="pssMB")
    #: The most that it took so far.
    peak_mb: float = Field(alias="peakMB")
    #: How fast `memoryMB` grows, over the last half hour at the most; null while too little is known.
    growth_mb_per_minute: float | None = Field(alias="growthMBPerMinute")
    #: ``growing`` like a leak, ``steady`` like a job that has what it takes, or ``unknown``.
    growth: str
    #: 100 is one core.
    cpu_percent: float
    age_ms: int
    processes: int
    limits: dict[str, Any]


@router.get("/agents/sessions/status")
async def sessions(given: Given) -> list[SessionStatus]:
    """Who is locked, by what, since when."""

    def read(conn: Connection) -> list[SessionStatus]:
        now, doing = given.clock.now(), given.executions.runner.activities()
        known = {(session.agent_id, session.cli_type): session for session in session_store.everyone(conn)}
        locks, waiting = lock_store.held(conn), queue_store.lengths(conn)
        asked = {one.execution_id: one.waiting for one in summary_store.running(conn)}
        return [
            _session_status(
                agent,
                known.get((agent.agent_id, agent.cli_type)),
                next((locks[who] for who in lockers(agent.agent_id) if who in locks), None),
                waiting=waiting.get(agent.agent_id, 0),
                doing=doing,
                asked=asked,
                now=now,
            )
            for agent in store.everyone(conn)
        ]

    return await given.storage.read(read)


@router.get("/agents/processes/status")
async def processes(given: Given) -> list[ProcessShape]:
    """What the running executions' process trees take."""
    trees, samples = dict(given.warden.running), dict(given.warden.samples)

    def read(conn: Connection) -> list[tuple[Summary, dict[str, Any]]]:
        limits = {agent.agent_id: agent.limits.to_document() for agent in store.everyone(conn)}
        running = [one for one in summary_store.running(conn) if one.execution_id in trees]
        return [(one, limits.get(owner_of(one.agent_id), {})) for one in running]

    running, now = await given.storage.read(read), given.clock.now()
    return await asyncio.to_thread(
        lambda: [
            _process(one, trees[one.execution_id], samples.get(one.execution_id), limits, now)
            for one, limits in running
        ]
    )


def _process(
    execution: Summary, tree: Started, sample: Sample | None, limits: dict[str, Any], now: datetime
) -> ProcessShape:
    # One that has just begun has not been looked at by the warden yet.
    taken = sample or usage(tree.keeper_pid, started_at_ticks=tree.keeper_started_at_ticks)
    return ProcessShape(
        agent_id=execution.agent_id,
        execution_id=execution.execution_id,
        pid=tree.pid,
        memory_mb=round(taken.resident_bytes / 1e6, 1),
        pss_mb=megabytes(sample.pss_bytes if sample else None),
        peak_mb=round((sample.peak_bytes if sample else taken.resident_bytes) / 1e6, 1),
        growth_mb_per_minute=sample.growth_mb_per_minute if sample else None,
        growth=sample.growth if sample else UNKNOWN,
        cpu_percent=sample.cpu_percent if sample else 0.0,
        age_ms=(now - (execution.started_at or now)) // MILLISECOND,
        processes=taken.processes,
        limits=limits,
    )


def _session_status(
    agent: Agent,
    session: Session | None,
    lock: Lock | None,
    *,
    waiting: int,
    doing: Mapping[str, Activity],
    asked: Mapping[str, Mapping[str, Any] | None],
    now: datetime,
) -> SessionStatus:
    held_since = lock.locked_at if lock else None
    waits_for = asked.get(str(lock.execution_id)) if lock else None
    return SessionStatus(
        agent_id=agent.agent_id,
        cli_type=agent.cli_type,
        session_id=session.session_id if session else None,
        has_session=session is not None,
        locked=lock is not None,
        executing=lock is not None,
        execution_id=lock.execution_id if lock else None,
        execution_started_at=held_since,
        queue_length=waiting,
        locked_for_ms=None if held_since is None else (now - held_since) // MILLISECOND,
        lock_token=lock.token if lock else None,
        lock_overdue_at=lock.overdue_at if lock else None,
        waiting=WaitingShape.model_validate(waits_for) if waits_for else None,
        **_getting_on(doing.get(str(lock.execution_id)) if lock else None, now),
    )


def _getting_on(activity: Activity | None, now: datetime) -> dict[str, Any]:
    if activity is None:
        return {}
    found, since = stuck.decide(activity, now), activity.tool_since
    return {
        "last_event_at": activity.last_output_at,
        "silent_for_ms": (now - activity.last_output_at) // MILLISECOND,
        "tool": activity.tool,
        "tool_for_ms": None if since is None else (now - since) // MILLISECOND,
        "repeated_calls": activity.repeats,
        "stuck": found.message if found else None,
    }
