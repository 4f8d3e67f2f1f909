"""Which executions are too old to be kept, with all that they wrote and what was said in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, exists, select

from kokino.agents import session_store
from kokino.conversations import store as conversation_store
from kokino.executions.model import State
from kokino.storage.schema import executions, records
from kokino.storage.shelf import Shelf


def _is_record_of_older(than: datetime) -> ColumnElement[bool]:
    return records.c.execution_id.in_(select(executions.c.execution_id).where(executions.c.ended_at < than))


def _is_older(than: datetime) -> ColumnElement[bool]:
    has_records = exists().where(records.c.execution_id == executions.c.execution_id)
    return (executions.c.ended_at < than) & ~has_records


def _with_what_was_said(conn: Connection, keys: Sequence[Row[Any]]) -> None:
    """Delete the turns of executions that go, else they would be foreign, and conversations that end so."""
    query = select(executions.c.execution_id, executions.c.conversation_id)
    gone = conn.execute(query.where(executions.c.number.in_([key.number for key in keys]))).all()
    conversation_store.forget_turns(conn, [row.execution_id for row in gone])
    left = {row.conversation_id for row in gone if row.conversation_id} - _in_use(conn)
    conversation_store.forget_empty(conn, left)


def _in_use(conn: Connection) -> set[str]:
    """Conversations that an agent's next or present execution goes on with."""
    unfinished = executions.c.state.in_([State.QUEUED.value, State.RUNNING.value])
    present = conn.scalars(select(executions.c.conversation_id).where(unfinished))
    return {*filter(None, present), *(one.conversation_id for one in session_store.everyone(conn))}


#: They go before their execution, in portions of their own: one may have written millions.
RECORDS: Final = Shelf(table=records, is_older=_is_record_of_older)
EXECUTIONS: Final = Shelf(table=executions, is_older=_is_older, with_them=_with_what_was_said)
