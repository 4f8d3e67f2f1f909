"""Integrity checks in the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from kokino.clock import MILLISECOND
from kokino.integrity.model import Finding, Kind, Report, Trigger
from kokino.storage import installation
from kokino.storage.schema import integrity_checks

#: Findings that are kept of a check: enough to compare two nights, not enough to fill a database.
KEPT_FINDINGS = 20
#: When the last nightly check was begun; before the first one, when this was first asked for.
_NIGHTLY = "integrity_nightly_at"
_NEWEST = (integrity_checks.c.started_at.desc(), integrity_checks.c.number.desc())


def record(conn: Connection, report: Report) -> None:
    """Write a check down."""
    conn.execute(
        insert(integrity_checks).values(
            check_id=report.check_id,
            cause=report.trigger.value,
            asked_by=report.by,
            started_at=report.started_at,
            took_ms=report.took // MILLISECOND,
            conversations=report.conversations,
            turns=report.turns,
            affected=report.affected,
            total=report.total,
            counts=_words(report.counts),
            repairable=_words(report.repairable),
            findings=[asdict(finding) for finding in report.findings[:KEPT_FINDINGS]],
            not_checked=list(report.not_checked),
            accepted=report.accepted,
        )
    )


def latest(conn: Connection, *, limit: int) -> list[Report]:
    """The last checks, the newest first."""
    return [_report(row) for row in conn.execute(select(integrity_checks).order_by(*_NEWEST).limit(limit))]


def damaged_at(conn: Connection) -> str | None:
    """The check that found damage, unless a later one could look at everything; None where none did."""
    columns = integrity_checks.c
    query = select(columns.check_id, columns.counts, columns.not_checked).order_by(*_NEWEST)
    for row in conn.execute(query):
        if Kind.FILE_DAMAGE.value in row.counts:
            return str(row.check_id)
        if not row.not_checked:
            return None
    return None


def nightly_at(conn: Connection) -> datetime | None:
    """When the last nightly check was begun; None where this was never asked for before."""
    return installation.noted_instant(conn, _NIGHTLY)


def note_nightly(conn: Connection, at: datetime) -> None:
    """A nightly check was begun at `at`, or is counted from then on."""
    installation.note_instant(conn, _NIGHTLY, at)


def _words(counts: Mapping[Kind, int]) -> dict[str, int]:
    return {kind.value: count for kind, count in counts.items()}


def _kinds(counts: Mapping[str, int]) -> dict[Kind, int]:
    return {Kind(word): count for word, count in counts.items()}


def _report(row: Row[Any]) -> Report:
    return Report(
        check_id=row.check_id,
        trigger=Trigger(row.cause),
        by=row.asked_by,
        started_at=row.started_at,
        took=timedelta(milliseconds=row.took_ms),
        conversations=row.conversations,
        turns=row.turns,
        affected=row.affected,
        total=row.total,
        counts=_kinds(row.counts),
        repairable=_kinds(row.repairable),
        findings=[Finding(**{**finding, "kind": Kind(finding["kind"])}) for finding in row.findings],
        not_checked=row.not_checked,
        accepted=row.accepted,
    )
