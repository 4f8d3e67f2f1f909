"""What belongs together when an execution begins or ends, each as one transaction's worth of rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from kokino.agents import circuit_store, circuits, lock_store, parking, session_store
from kokino.agents import store as agent_store
from kokino.agents.breaker import Verdict, in_tmux
from kokino.agents.circuits import Trier
from kokino.agents.failures import FailureKind
from kokino.agents.model import Agent, Session
from kokino.agents.routing import Route
from kokino.conversations import store as conversation_store
from kokino.conversations.model import Role
from kokino.executions import store
from kokino.executions.attempts import taken
from kokino.executions.model import MIB, Ending, Execution, State
from kokino.ids import Ids
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import END_TYPES, OWN_LABELS, Event, EventType


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A queued execution that may run now, with its agent locked."""

    execution: Execution
    agent: Agent


def end(
    conn: Connection,
    execution: Execution,
    ending: Ending,
    ids: Ids,
    *,
    now: datetime,
    session_id: str | None = None,
    session_is_alive: bool = True,
) -> Execution:
    """Write an execution's end and all that follows from it.

    Its turn, session, lock and event, its agent's circuit breaker, and a pause where the quota is used up.
    """
    ending = taken.own_share(conn, execution, ending, session_is_alive=session_is_alive)
    ending = taken.with_earlier(ending, store.required(conn, execution.execution_id))
    ended = store.end(conn, execution.execution_id, ending, now=now)
    if ended.conversation_id and ending.content:
        _say(conn, ended, Role.ASSISTANT, ending.content, ids, now=now)
    if ended.started_at is not None:
        _keep_session(conn, ended, session_id=session_id, is_alive=session_is_alive, now=now)
    if ended.lock_token is not None:
        lock_store.release(conn, ended.agent_id, ended.lock_token)
    if ending.began_anew is not None:
        telemetry.append(conn, _replaced_event(ended, ending.began_anew, now))
    telemetry.append(conn, _end_event(ended, ending, now))
    if ended.started_at is not None and ended.label not in OWN_LABELS:
        kind = ended.kind.value if ended.kind else None
        by = _trier(ended)
        if _went_round(conn, ended):
            by = replace(by, cli_type=in_tmux(by.cli_type))
        circuits.note_end(conn, by, _verdict(ended), kind=kind, error=ended.error, now=now)
    if ended.kind is FailureKind.QUOTA:
        parking.park(conn, ended.account, ended.error or "", told=ending.resets_at, now=now)
    return ended


def _went_round(conn: Connection, ended: Execution) -> bool:
    """True for one that ran in a terminal because its own way was disabled: it says nothing of that way."""
    agent = agent_store.get(conn, ended.agent_id)
    is_own = agent is None or ended.moved_from is not None or agent.mode.of_caller == ended.mode
    return not is_own


def unclaim(conn: Connection, execution: Execution) -> None:
    """Take a claim back that never came to a process: nobody has seen its prompt."""
    agent = agent_store.get(conn, execution.agent_id)
    store.requeue(
        conn,
        execution,
        cli_type=execution.moved_from or execution.cli_type,
        account=agent.account if agent else execution.account,
        mode=agent.mode.value if agent else execution.mode,
    )
    circuit_store.free_trial(conn, execution.execution_id)
    conversation_store.unsay(conn, execution.execution_id)
    if execution.lock_token is not None:
        lock_store.release(conn, execution.agent_id, execution.lock_token)


def begin(
    conn: Connection,
    execution: Execution,
    agent: Agent,
    decided: Route,
    ids: Ids,
    *,
    driver: str,
    now: datetime,
) -> Claim:
    """Set a queued execution running on what its route says: lock, session, turn, event."""
    token = lock_store.acquire(conn, agent.agent_id, execution.execution_id, now=now)
    assert token is not None  # noqa: S101 - the lock was free in this very transaction
    session = _session(conn, agent.agent_id, decided.cli_type, ids, now=now)
    started = store.start(
        conn,
        execution,
        cli_type=decided.cli_type,
        account=decided.account,
        mode=decided.mode.value,
        moved_from=decided.moved_from,
        conversation_id=session.conversation_id,
        session_id=session.session_id,
        driver=driver,
        is_resume=session.is_established,
        lock_token=token,
        now=now,
    )
    _say(conn, started, Role.USER, started.prompt, ids, now=now)
    telemetry.append(
        conn,
        Event(
            type=EventType.EXECUTION_STARTED,
            at=now,
            agent_id=agent.agent_id,
            cli_type=started.cli_type,
            account=started.account,
            execution_id=started.execution_id,
            label=started.label,
            message=decided.reason if decided.is_around else None,
        ),
    )
    if decided.trial_of is not None:
        circuits.begin_trial(conn, decided.trial_of, _trier(started), now=now)
    return Claim(execution=started, agent=agent)


def _session(conn: Connection, agent_id: str, cli_type: str, ids: Ids, *, now: datetime) -> Session:
    if (known := session_store.get(conn, agent_id, cli_type)) is not None:
        return known
    session = Session(
        agent_id=agent_id,
        cli_type=cli_type,
        session_id=ids.uuid(),
        conversation_id=ids.new("conv"),
        is_established=False,
        created_at=now,
        used_at=now,
    )
    conversation_store.begin(conn, session.conversation_id, agent_id, now=now)
    session_store.begin(conn, session)
    return session


def _keep_session(
    conn: Connection, ended: Execution, *, session_id: str | None, is_alive: bool, now: datetime
) -> None:
    """Resume next time only what the CLI can resume.

    A CLI that has named its session can resume it, even after a refused first turn (claude with 401). One
    that never got so far leaves the id taken in some CLIs and unknown in others: the next turn starts under
    a new one.
    """
    came_to_something = session_id is not None or ended.state is State.COMPLETED
    session = session_store.get(conn, ended.agent_id, ended.cli_type)
    if session is None or session.conversation_id != ended.conversation_id:
        return  # it was ended meanwhile
    if not is_alive or not (session.is_established or came_to_something):
        session_store.forget(conn, ended.agent_id, ended.cli_type)
    else:
        kept = session_id or session.session_id
        session_store.establish(conn, ended.agent_id, ended.cli_type, session_id=kept, now=now)


def _say(
    conn: Connection, execution: Execution, role: Role, content: str, ids: Ids, *, now: datetime
) -> None:
    conversation_store.say(
        conn,
        str(execution.conversation_id),
        turn_id=ids.new("turn"),
        execution_id=execution.execution_id,
        role=role,
        content=content,
        now=now,
    )


def _trier(execution: Execution) -> Trier:
    return Trier(
        execution_id=execution.execution_id,
        agent_id=execution.agent_id,
        cli_type=execution.cli_type,
        account=execution.account,
    )


def _verdict(ended: Execution) -> Verdict:
    if ended.state is State.COMPLETED:
        return Verdict.GOOD
    return Verdict.BAD if ended.kind is None or ended.kind.counts_for_breaker else Verdict.NEITHER


def _end_event(ended: Execution, ending: Ending, now: datetime) -> Event:
    duration = None if ended.started_at is None else ended.duration
    peak = ended.peak_memory_bytes
    return Event(
        type=END_TYPES[ended.state.value],
        at=now,
        agent_id=ended.agent_id,
        cli_type=ended.cli_type,
        account=ended.account,
        execution_id=ended.execution_id,
        label=ended.label,
        kind=ended.kind.value if ended.kind else None,
        duration_ms=None if duration is None else round(duration.total_seconds() * 1000),
        memory_mb=None if peak is None else math.ceil(peak / MIB),
        memory_slo_mb=ending.memory_slo_mb,
        message=ended.error,
    )


def _replaced_event(ended: Execution, reason: str, now: datetime) -> Event:
    return Event(
        type=EventType.SESSION_REPLACED,
        at=now,
        agent_id=ended.agent_id,
        cli_type=ended.cli_type,
        account=ended.account,
        execution_id=ended.execution_id,
        label=ended.label,
        message=reason,
    )


def refused(reason: str) -> Ending:
    """The end of one that is not let run."""
    return Ending(state=State.REFUSED, kind=FailureKind.REFUSED, error=reason)
