"""The latest diagnoses, and the events that tell of them; each function runs inside a transaction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from kokino.doctor.model import Check, Diagnosis
from kokino.storage.schema import diagnoses
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event, EventType


def everything(conn: Connection) -> dict[str, Diagnosis]:
    """The latest diagnosis of each CLI type that agents use, by its name."""
    query = select(diagnoses).order_by(diagnoses.c.cli_type)
    return {row.cli_type: _diagnosis(row) for row in conn.execute(query)}


def note(conn: Connection, diagnosis: Diagnosis) -> None:
    """Remember a diagnosis, and tell of each check and of what has changed."""
    before = everything(conn).get(diagnosis.cli_type)
    conn.execute(delete(diagnoses).where(diagnoses.c.cli_type == diagnosis.cli_type))
    conn.execute(
        insert(diagnoses).values(
            cli_type=diagnosis.cli_type,
            checked_at=diagnosis.checked_at,
            checks=[check.to_document() for check in diagnosis.checks],
        )
    )
    for check in diagnosis.checks:
        telemetry.append(conn, _of_check(diagnosis, check))
    if before is None or before.passed != diagnosis.passed:
        _tell(conn, diagnosis, is_new=before is None)


def forget_others(conn: Connection, used: Collection[str], now: datetime) -> None:
    """Drop what is known of CLI types that no agent uses any more: nobody suffers from them."""
    for name, diagnosis in everything(conn).items():
        if name in used:
            continue
        conn.execute(delete(diagnoses).where(diagnoses.c.cli_type == name))
        if not diagnosis.passed:
            telemetry.append(
                conn,
                Event(
                    type=EventType.ENV_RESTORED,
                    at=now,
                    cli_type=name,
                    message=f"no agent uses {name} any more",
                ),
            )


def _tell(conn: Connection, diagnosis: Diagnosis, *, is_new: bool) -> None:
    if diagnosis.passed:
        if not is_new:  # nobody has been told that it was unwell
            message = f"{diagnosis.cli_type} has all that it needs"
            _append(conn, diagnosis, EventType.ENV_RESTORED, message)
        return
    message = "; ".join(f"{check.name}: {check.message}" for check in diagnosis.failed)
    _append(
        conn, diagnosis, EventType.ENV_DEGRADED, message, checks=[check.name for check in diagnosis.failed]
    )


def _append(conn: Connection, diagnosis: Diagnosis, type: EventType, message: str, **data: Any) -> None:
    event = Event(
        type=type,
        at=diagnosis.checked_at,
        cli_type=diagnosis.cli_type,
        message=message,
        data=data or None,
    )
    telemetry.append(conn, event)


def _of_check(diagnosis: Diagnosis, check: Check) -> Event:
    return Event(
        type=EventType.ENV_CHECK_PASSED if check.is_well else EventType.ENV_CHECK_FAILED,
        at=diagnosis.checked_at,
        cli_type=diagnosis.cli_type,
        message=check.message,
        data={"check": check.name},
    )


def _diagnosis(row: Row[Any]) -> Diagnosis:
    return Diagnosis(
        cli_type=row.cli_type,
        checks=tuple(map(Check.from_document, row.checks)),
        checked_at=row.checked_at,
    )
