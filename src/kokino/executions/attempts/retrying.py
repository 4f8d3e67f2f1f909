"""What belongs together when an execution is tried once more, as one transaction's worth of rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from kokino.agents import session_store
from kokino.executions import store
from kokino.executions.attempts import taken
from kokino.executions.attempts.again import Again, Cause
from kokino.executions.model import Ending, Execution
from kokino.ids import Ids
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event, EventType

TYPES = {Cause.SESSION: EventType.SESSION_REPLACED, Cause.RETRY: EventType.EXECUTION_RETRIED}


def begin_again(
    conn: Connection,
    execution: Execution,
    another: Again,
    ids: Ids,
    *,
    ending: Ending,
    session_id: str | None,
    now: datetime,
) -> Execution:
    """The same execution, in the session that the next try goes on with or begins.

    `ending` is how the last try ended: what it took counts, whatever the next one comes to.
    `session_id` is what the CLI called its session in the last try: it knows that one, so it is resumed. One
    that never got so far may have left the id taken: the next try begins under a new one.
    """
    share = taken.own_share(conn, execution, ending, session_is_alive=another.cause is not Cause.SESSION)
    share = taken.with_earlier(share, execution)
    if another.cause is Cause.RETRY and session_id is not None:
        kept, is_resume = session_id, True
        session_store.establish(conn, execution.agent_id, execution.cli_type, session_id=kept, now=now)
    elif another.cause is Cause.RETRY and execution.is_resume:
        kept, is_resume = str(execution.session_id), True
    else:
        kept, is_resume = ids.uuid(), False
        session_store.renew(conn, execution.agent_id, execution.cli_type, session_id=kept, now=now)
    telemetry.append(conn, _event(execution, another, now))
    is_retry = another.cause is Cause.RETRY
    counted = replace(
        execution, retried=execution.retried + is_retry, replaced=execution.replaced + (not is_retry)
    )
    return store.begin_again(conn, counted, session_id=kept, is_resume=is_resume, taken=share)


def _event(execution: Execution, another: Again, now: datetime) -> Event:
    return Event(
        type=TYPES[another.cause],
        at=now,
        agent_id=execution.agent_id,
        cli_type=execution.cli_type,
        account=execution.account,
        execution_id=execution.execution_id,
        label=execution.label,
        message=another.reason,
        data={
            "pauseMs": int(another.pause.total_seconds() * 1000),
            "attempt": max(1, execution.attempts) + 1,
        },
    )
