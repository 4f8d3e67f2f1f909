"""What CLIs wrote, in the database: the records of executions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from kokino.executions.model import Record
from kokino.storage.schema import executions, records


def add(conn: Connection, execution_id: str, added: Sequence[Record]) -> None:
    """Append to the execution's stream."""
    rows = [
        {
            "execution_id": execution_id,
            "number": record.number,
            "stream": record.stream,
            "body": record.body,
            "size": record.size,
            "written_at": record.written_at,
            "attempt": record.attempt,
            "begins_at": record.begins_at,
        }
        for record in added
    ]
    if rows:
        conn.execute(insert(records), rows)


def after(conn: Connection, execution_id: str, number: int, *, limit: int) -> list[Record]:
    """At most `limit` records that come after `number`, in order."""
    query = (
        select(records)
        .where(records.c.execution_id == execution_id, records.c.number > number)
        .order_by(records.c.number)
        .limit(limit)
    )
    return [_record(row) for row in conn.execute(query)]


def latest(conn: Connection, agent_id: str, *, limit: int) -> list[tuple[str, Record]]:
    """The last `limit` records over the agent's executions, oldest first, each with its execution's id."""
    query = (
        select(records)
        .join(executions, executions.c.execution_id == records.c.execution_id)
        .where(executions.c.agent_id == agent_id)
        .order_by(executions.c.number.desc(), records.c.number.desc())
        .limit(limit)
    )
    return [(row.execution_id, _record(row)) for row in conn.execute(query)][::-1]


def last_number(conn: Connection, execution_id: str) -> int:
    """The number of its latest record; 0 where there is none."""
    last = select(func.max(records.c.number)).where(records.c.execution_id == execution_id)
    return conn.scalar(last) or 0


def _record(row: Row[Any]) -> Record:
    return Record(
        number=row.number,
        stream=row.stream,
        body=row.body,
        size=row.size,
        written_at=row.written_at,
        attempt=row.attempt,
        begins_at=row.begins_at,
    )
