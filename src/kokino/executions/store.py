"""Executions in the database. How they wait is in `queue.store`, what their CLIs wrote in `output.store`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from kokino.agents.failures import FailureKind
from kokino.agents.model import Mode, shadow_of
from kokino.clock import MILLISECOND
from kokino.executions.model import TRANSITIONS, Ending, Execution, State
from kokino.storage.schema import executions
from kokino.telemetry.model import PROBE, Running


def accept(conn: Connection, execution: Execution) -> Execution:
    """Put an execution at the end of the queue; returns it with its number, which the database gives."""
    values = asdict(execution) | {
        "state": execution.state.value,
        "metadata": dict(execution.metadata),
        "timeout_ms": execution.timeout // MILLISECOND,
        "queue_timeout_ms": execution.queue_timeout // MILLISECOND,
        "queue_ends_at": execution.queued_at + execution.queue_timeout,
    }
    del values["number"], values["timeout"], values["queue_timeout"]
    return from_row(conn.execute(insert(executions).values(**values).returning(executions)).one())


def get(conn: Connection, execution_id: str) -> Execution | None:
    """The execution, or None."""
    row = conn.execute(select(executions).where(executions.c.execution_id == execution_id)).one_or_none()
    return None if row is None else from_row(row)


def page(
    conn: Connection, *, agent_id: str | None, state: State | None, before: int | None, limit: int
) -> list[Execution]:
    """At most `limit` executions, the newest first, with numbers below `before`."""
    query = select(executions).order_by(executions.c.number.desc()).limit(limit)
    if agent_id is not None:
        query = query.where(executions.c.agent_id == agent_id)
    if state is not None:
        query = query.where(executions.c.state == state.value)
    if before is not None:
        query = query.where(executions.c.number < before)
    return [from_row(row) for row in conn.execute(query)]


def last_in_terminal(conn: Connection, agent_id: str) -> Execution | None:
    """What was begun last in the agent's terminal; None where nothing is kept of it."""
    query = select(executions).where(
        executions.c.agent_id == agent_id,
        executions.c.mode == Mode.TMUX.value,
        executions.c.started_at.is_not(None),
    )
    # An agent's begin in this order, and an index has it: by `started_at` all of them would be sorted.
    row = conn.execute(query.order_by(executions.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else from_row(row)


def users_running(conn: Connection) -> list[Running]:
    """The users' executions that run, as alert rules and ``/metrics`` count them."""
    query = select(executions.c.started_at, executions.c.agent_id, executions.c.cli_type).where(
        executions.c.state == State.RUNNING.value,
        executions.c.label.is_(None),
        executions.c.started_at.is_not(None),
    )
    return [
        Running(started_at=started_at, agent_id=agent_id, cli_type=cli_type)
        for started_at, agent_id, cli_type in conn.execute(query)
    ]


def in_state(conn: Connection, state: State) -> list[Execution]:
    """Every execution in `state`, in order of acceptance. For the states that few are in at a time."""
    query = select(executions).where(executions.c.state == state.value).order_by(executions.c.number)
    return [from_row(row) for row in conn.execute(query)]


def unfinished_of(conn: Connection, agent_id: str) -> list[Execution]:
    """The agent's queued and running executions, in order of acceptance."""
    query = select(executions).where(
        executions.c.agent_id == agent_id,
        executions.c.state.in_([State.QUEUED.value, State.RUNNING.value]),
    )
    # Sorted here: asked for them in order, SQLite walks over all that the agent ever ran, and sorts nothing.
    return sorted((from_row(row) for row in conn.execute(query)), key=lambda one: one.number)


def present_conversation(conn: Connection, agent_id: str) -> str | None:
    """The conversation that the agent's last execution of a user belongs to; None before it has one."""
    query = select(executions.c.conversation_id).where(
        executions.c.agent_id == agent_id,
        executions.c.label.is_(None),
        executions.c.conversation_id.is_not(None),
    )
    return conn.scalar(query.order_by(executions.c.number.desc()).limit(1))


def spent_since(conn: Connection, agent_id: str, since: datetime) -> float:
    """Dollars that an agent's executions took that ended from `since` on.

    Those that ran beside them in shadow mode were paid for too; probes are not the agent's.
    """
    return sum(_spent_by(conn, who, since) for who in (agent_id, shadow_of(agent_id)))


def _spent_by(conn: Connection, agent_id: str, since: datetime) -> float:
    """The same for one id.

    An agent runs one at a time in order of acceptance, so its last one that ended before bounds the search:
    the index by agent and number is walked over the day, not over all that it ever ran.
    """
    earlier = (
        select(executions.c.number)
        .where(executions.c.agent_id == agent_id, executions.c.started_at.is_not(None))
        .where(executions.c.ended_at < since)
        .order_by(executions.c.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(func.sum(executions.c.cost_usd))
        .where(executions.c.agent_id == agent_id, executions.c.number > func.coalesce(earlier, 0))
        .where(executions.c.ended_at >= since, executions.c.label.is_distinct_from(PROBE))
    )
    return conn.scalar(query) or 0.0


def state_of(conn: Connection, execution_id: str) -> State | None:
    """Where an execution is, without reading its prompt and answer; None for one that is not there."""
    found = conn.scalar(select(executions.c.state).where(executions.c.execution_id == execution_id))
    return None if found is None else State(found)


def start(
    conn: Connection,
    execution: Execution,
    *,
    cli_type: str,
    account: str,
    mode: str,
    moved_from: str | None,
    conversation_id: str,
    session_id: str,
    driver: str,
    is_resume: bool,
    lock_token: int,
    now: datetime,
) -> Execution:
    """Set a queued execution running, on what its route says."""
    _move(
        conn,
        execution.execution_id,
        State.RUNNING,
        cli_type=cli_type,
        account=account,
        mode=mode,
        moved_from=moved_from,
        conversation_id=conversation_id,
        session_id=session_id,
        driver=driver,
        is_resume=is_resume,
        lock_token=lock_token,
        started_at=now,
    )
    return required(conn, execution.execution_id)


def requeue(conn: Connection, execution: Execution, *, cli_type: str, account: str, mode: str) -> None:
    """Put one back into its queue for which no process was ever started: nothing of its claim is left."""
    _move(
        conn,
        execution.execution_id,
        State.QUEUED,
        cli_type=cli_type,
        account=account,
        mode=mode,
        changes=None,
        started_at=None,
        conversation_id=None,
        session_id=None,
        driver=None,
        is_resume=None,
        lock_token=None,
        moved_from=None,
    )


def note_start(conn: Connection, execution_id: str, *, pid: int, attempt: int) -> Execution:
    """Remember the process that runs it; returns the execution: somebody may have cancelled it meanwhile."""
    conn.execute(
        update(executions).where(executions.c.execution_id == execution_id).values(pid=pid, attempts=attempt)
    )
    return required(conn, execution_id)


def note_changes(conn: Connection, execution_id: str, changes: Mapping[str, Any]) -> None:
    """Remember what its repository was like before it began."""
    conn.execute(
        update(executions).where(executions.c.execution_id == execution_id).values(changes=dict(changes))
    )


def note_waiting(conn: Connection, execution_id: str, waiting: Mapping[str, Any] | None) -> bool:
    """Note what it waits for, None for nothing; False when it does not run any more."""
    changed = conn.execute(
        update(executions)
        .where(executions.c.execution_id == execution_id, executions.c.state == State.RUNNING.value)
        .values(waiting=None if waiting is None else dict(waiting))
    )
    return changed.rowcount == 1


def begin_again(
    conn: Connection, execution: Execution, *, session_id: str, is_resume: bool, taken: Ending
) -> Execution:
    """Note its counts, the session that its next try goes on with, and what all tries have `taken` so far."""
    conn.execute(
        update(executions)
        .where(executions.c.execution_id == execution.execution_id)
        .values(
            session_id=session_id,
            is_resume=is_resume,
            replaced=execution.replaced,
            retried=execution.retried,
            usage=dict(taken.usage) if taken.usage is not None else None,
            cost_usd=taken.cost_usd,
        )
    )
    return required(conn, execution.execution_id)


def note_version(conn: Connection, execution_id: str, version: str) -> None:
    """Note which version of its CLI ran."""
    conn.execute(
        update(executions).where(executions.c.execution_id == execution_id).values(cli_version=version)
    )


def request_cancel(conn: Connection, execution_id: str, *, now: datetime) -> None:
    """Note that somebody wants it ended: from here on its own claim of success no longer counts."""
    conn.execute(
        update(executions)
        .where(executions.c.execution_id == execution_id, executions.c.cancel_requested_at.is_(None))
        .values(cancel_requested_at=now)
    )


def end(conn: Connection, execution_id: str, ending: Ending, *, now: datetime) -> Execution:
    """Give an execution its end. Raises ValueError when it cannot end so: it has ended already, for one."""
    _move(
        conn,
        execution_id,
        ending.state,
        kind=ending.kind.value if ending.kind else None,
        error=ending.error,
        exit_code=ending.exit_code,
        exit_signal=ending.exit_signal,
        content=ending.content,
        usage=dict(ending.usage) if ending.usage is not None else None,
        cost_usd=ending.cost_usd,
        # It may have been noted before: whoever knows it writes it down.
        **({} if ending.cli_version is None else {"cli_version": ending.cli_version}),
        peak_memory_bytes=ending.peak_memory_bytes,
        cpu_ms=ending.cpu_ms,
        # Without an own word of it the row keeps what was there before it began.
        **({} if ending.changes is None else {"changes": dict(ending.changes)}),
        ended_at=now,
        waiting=None,
    )
    return required(conn, execution_id)


def _move(conn: Connection, execution_id: str, to: State, **values: Any) -> None:
    """Change the state where `TRANSITIONS` allows it; any other change is a bug."""
    allowed = [state.value for state, following in TRANSITIONS.items() if to in following]
    changed = conn.execute(
        update(executions)
        .where(executions.c.execution_id == execution_id, executions.c.state.in_(allowed))
        .values(state=to.value, **values)
    )
    if changed.rowcount != 1:
        raise ValueError(
            f"execution {execution_id!r} cannot become {to.value}: it is not {' or '.join(allowed)}"
        )


def required(conn: Connection, execution_id: str) -> Execution:
    """The execution, which is known to be there."""
    return from_row(conn.execute(select(executions).where(executions.c.execution_id == execution_id)).one())


def from_row(row: Row[Any]) -> Execution:
    """The execution that a row of its table holds."""
    return Execution(
        execution_id=row.execution_id,
        number=row.number,
        agent_id=row.agent_id,
        cli_type=row.cli_type,
        account=row.account,
        mode=row.mode,
        pool=row.pool,
        state=State(row.state),
        kind=FailureKind(row.kind) if row.kind else None,
        error=row.error,
        label=row.label,
        moved_from=row.moved_from,
        prompt=row.prompt,
        metadata=row.metadata,
        conversation_id=row.conversation_id,
        session_id=row.session_id,
        driver=row.driver,
        is_resume=row.is_resume,
        timeout=timedelta(milliseconds=row.timeout_ms),
        queue_timeout=timedelta(milliseconds=row.queue_timeout_ms),
        queued_at=row.queued_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        cancel_requested_at=row.cancel_requested_at,
        lock_token=row.lock_token,
        pid=row.pid,
        exit_code=row.exit_code,
        exit_signal=row.exit_signal,
        content=row.content,
        usage=row.usage,
        cost_usd=row.cost_usd,
        cli_version=row.cli_version,
        attempts=row.attempts,
        replaced=row.replaced,
        retried=row.retried,
        peak_memory_bytes=row.peak_memory_bytes,
        cpu_ms=row.cpu_ms,
        changes=row.changes,
        waiting=row.waiting,
    )
