"""What is told of an execution while it runs, as rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from kokino.agents import lock_store
from kokino.agents.model import Lock
from kokino.clock import MILLISECOND
from kokino.executions import store
from kokino.executions.model import Execution, Waiting
from kokino.executions.overdue.holding import Overdue, Reason
from kokino.executions.overdue.stuck import Stuck
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event, EventType


def tell_stuck(conn: Connection, execution: Execution, found: Stuck, *, now: datetime) -> None:
    """It does not get on: told once for each reason, whatever brokers it had."""
    if found.reason.value in _told_stuck(conn, execution):
        return
    data = {"reason": found.reason.value}
    telemetry.append(conn, _event(EventType.EXECUTION_STUCK, execution, found.message, data, now))


def _told_stuck(conn: Connection, execution: Execution) -> set[str]:
    told = telemetry.recent(
        conn,
        type=EventType.EXECUTION_STUCK,
        agent_id=execution.agent_id,
        since=execution.started_at or execution.queued_at,
    )
    return {
        str(event.data["reason"])
        for event in told
        if event.data is not None and event.execution_id == execution.execution_id
    }


def tell_overdue(conn: Connection, execution: Execution, found: Overdue, *, now: datetime) -> bool:
    """It holds its agent's lock too long: told once for each holder; False when it is no news."""
    token = execution.lock_token
    if token is None or not lock_store.note_overdue(conn, execution.agent_id, token, now=now):
        return False
    data = {
        "reason": found.reason.value,
        "token": token,
        "heldBy": execution.execution_id,
        "heldMs": _ms(found.held),
        "waitsFor": found.waits_for,
    }
    telemetry.append(conn, _event(EventType.LOCK_TIMEOUT, execution, found.message, data, now))
    return True


def tell_gave_up(
    conn: Connection, execution: Execution, message: str, lock: Lock | None, *, now: datetime
) -> None:
    """It waited for its agent as long as it may; `lock` is None where nobody held the agent."""
    locked_at = None if lock is None else lock.locked_at
    data = {
        "reason": Reason.QUEUE.value,
        "token": None if lock is None else lock.token,
        "heldBy": None if lock is None else lock.execution_id,
        "heldMs": None if locked_at is None else _ms(now - locked_at),
        "waitedMs": _ms(now - execution.queued_at),
    }
    telemetry.append(conn, _event(EventType.LOCK_TIMEOUT, execution, message, data, now))


def note_waiting(conn: Connection, execution: Execution, waiting: Waiting | None, *, now: datetime) -> None:
    """It waits for somebody, or not any more; one that has ended meanwhile waits for nobody."""
    document = None if waiting is None else waiting.to_document()
    if store.note_waiting(conn, execution.execution_id, document) and document is not None:
        title = str(document["title"])
        telemetry.append(conn, _event(EventType.EXECUTION_WAITING, execution, title, document, now))


def _ms(length: timedelta) -> int:
    return int(length / MILLISECOND)


def _event(
    type: EventType, execution: Execution, message: str, data: Mapping[str, Any], now: datetime
) -> Event:
    return Event(
        type=type,
        at=now,
        agent_id=execution.agent_id,
        cli_type=execution.cli_type,
        account=execution.account,
        execution_id=execution.execution_id,
        label=execution.label,
        message=message,
        data=data,
    )
