"""What is told of an execution while it runs, as rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from kokino.executions import store
from kokino.executions.model import Execution, Waiting
from kokino.executions.stuck import Stuck
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event, EventType


def tell_stuck(conn: Connection, execution: Execution, found: Stuck, *, now: datetime) -> None:
    """It does not get on."""
    data = {"reason": found.reason.value}
    telemetry.append(conn, _event(EventType.EXECUTION_STUCK, execution, found.message, data, now))


def note_waiting(conn: Connection, execution: Execution, waiting: Waiting | None, *, now: datetime) -> None:
    """It waits for somebody, or not any more; one that has ended meanwhile waits for nobody."""
    document = None if waiting is None else waiting.to_document()
    if store.note_waiting(conn, execution.execution_id, document) and document is not None:
        title = str(document["title"])
        telemetry.append(conn, _event(EventType.EXECUTION_WAITING, execution, title, document, now))


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
