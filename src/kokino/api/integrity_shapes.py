"""What ``/api/integrity`` takes and answers."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field

from kokino.api.shapes import Body, Shape, Time
from kokino.clock import MILLISECOND
from kokino.integrity.backups import Backup
from kokino.integrity.model import Cleanup, Finding, Kind, Report
from kokino.integrity.standing import Standing


class IssueShape(Shape):
    """One thing that is wrong."""

    #: ``file_damage``, ``unreadable_value``, ``lost_conversation``, ``orphaned_turn``, ``turn_order``,
    #: ``duplicate_turn``, ``foreign_turn``, ``dangling_session``, ``execution_without_end`` or
    #: ``foreign_key``.
    kind: str
    message: str
    #: A cleanup may put it right.
    repairable: bool
    #: What a cleanup does, or what is to be done instead.
    mend: str
    #: Rows concerned, their table, and the first of their ids.
    count: int
    table: str | None
    ids: list[str]
    conversation_id: str | None


class Summary(Shape):
    """A check in short."""

    check_id: str
    passed: bool
    #: The file itself: nothing that is read of it can be relied on.
    damaged: bool
    #: ``nightly``, ``asked``, ``cleanup`` or ``decision``.
    trigger: str
    #: Who asked.
    by: str
    timestamp: Time
    duration_ms: int
    conversations: int
    turns: int
    #: Conversations with at least one fault.
    affected: int
    #: Findings; a finding may concern many rows.
    total: int
    #: Foreign turns that somebody accepted: they are no findings.
    accepted: int


class CheckedShape(Summary):
    """What a check found."""

    #: Rows by kind, also those of which there are none; and how many of them a cleanup may put right.
    counts: dict[str, int]
    repairable: dict[str, int]
    #: Everything that was found may be put right by a cleanup; false where nothing was found.
    all_repairable: bool
    #: Rows that a cleanup would delete, and how many it deletes without ``maxDelete``.
    would_delete: int
    may_delete: int
    #: The first 100 findings, the gravest first; ``total`` counts all.
    issues: list[IssueShape]
    #: What could not be looked at, and why.
    not_checked: list[str]


class BackupShape(Shape):
    """One backup of the database."""

    path: str
    #: ``nightly``, ``asked`` or ``cleanup``.
    why: str
    timestamp: Time
    size_bytes: int


class Stats(Shape):
    """How the database stands and stood."""

    #: Now; null where the database cannot be read. `accepted` are foreign turns that somebody accepted.
    conversations: int | None
    turns: int | None
    accepted: int | None
    #: Conversations with a fault at the last check.
    affected: int
    #: Why something could not be read; null where all could.
    unread: str | None
    #: Null before the first check.
    last_check: CheckedShape | None
    #: The last checks, the newest first.
    history: list[Summary]
    #: Null where the nightly check is switched off.
    next_check_at: Time | None
    #: SQLite: where backups are kept, and which there are, the newest first.
    backup_folder: str | None
    backups: list[BackupShape]


class CleanupBody(Body):
    """What a cleanup may do. It may be left out."""

    #: Only say what would be done.
    dry_run: bool = False
    #: PostgreSQL: where the backup is that you have made; without one nothing is deleted.
    backup: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    #: How many rows may be deleted, where the check says that it is more than ``mayDelete``.
    max_delete: Annotated[int, Field(ge=0)] | None = None


class RefusalShape(Shape):
    """A finding that a cleanup leaves alone."""

    kind: str
    message: str
    reason: str


class CleanedShape(Shape):
    """What a cleanup did, or would do."""

    dry_run: bool
    #: Rows that were deleted, all and by kind; the backup holds them.
    deleted: int
    deleted_by_kind: dict[str, int]
    #: Turns that got their right number.
    renumbered: int
    #: Conversations that were inserted again, as their executions tell of them.
    restored: int
    #: Where the backup is; null where nothing was to be put right.
    backup: str | None
    #: What stays, and why; the first 100.
    refused: list[RefusalShape]
    #: Nothing is wrong now. A dry run answers for what is there.
    passed: bool
    #: The check afterwards; a dry run's own.
    check: CheckedShape


def _summary(report: Report) -> dict[str, object]:
    return {
        "check_id": report.check_id,
        "passed": report.passed,
        "damaged": report.is_damaged,
        "trigger": report.trigger.value,
        "by": report.by,
        "timestamp": report.started_at,
        "duration_ms": report.took // MILLISECOND,
        "conversations": report.conversations,
        "turns": report.turns,
        "affected": report.affected,
        "total": report.total,
        "accepted": report.accepted,
    }


def checked_shape(report: Report) -> CheckedShape:
    """A check in full."""
    return CheckedShape.model_validate(
        _summary(report)
        | {
            "counts": {kind.value: report.counts.get(kind, 0) for kind in Kind},
            "repairable": {kind.value: report.repairable.get(kind, 0) for kind in Kind},
            "all_repairable": report.is_all_repairable,
            "would_delete": report.would_delete,
            "may_delete": report.may_delete,
            "issues": [_issue(finding) for finding in report.findings],
            "not_checked": list(report.not_checked),
        }
    )


def _issue(finding: Finding) -> IssueShape:
    return IssueShape(
        kind=finding.kind.value,
        message=finding.message,
        repairable=finding.is_repairable,
        mend=finding.mend,
        count=finding.count,
        table=finding.table,
        ids=list(finding.ids),
        conversation_id=finding.conversation_id,
    )


def backup_shape(backup: Backup) -> BackupShape:
    """A backup."""
    return BackupShape(
        path=str(backup.path), why=backup.why.value, timestamp=backup.made_at, size_bytes=backup.size_bytes
    )


def stats_shape(found: Standing, folder: Path | None, next_at: datetime | None) -> Stats:
    """How a database stands; its backups are in `folder`."""
    totals, last = found.totals, next(iter(found.history), None)
    return Stats(
        conversations=None if totals is None else totals.conversations,
        turns=None if totals is None else totals.turns,
        accepted=None if totals is None else totals.accepted,
        affected=0 if last is None else last.affected,
        unread=found.unread,
        last_check=None if last is None else checked_shape(last),
        history=[Summary(**_summary(report)) for report in found.history],
        next_check_at=next_at,
        backup_folder=None if folder is None else str(folder),
        backups=[backup_shape(backup) for backup in found.backups],
    )


def cleaned_shape(cleanup: Cleanup) -> CleanedShape:
    """What a cleanup came to."""
    last = cleanup.after or cleanup.before
    return CleanedShape(
        dry_run=cleanup.is_dry_run,
        deleted=cleanup.repairs.deleted_count,
        deleted_by_kind={kind.value: count for kind, count in cleanup.repairs.deleted.items()},
        renumbered=cleanup.repairs.renumbered,
        restored=cleanup.repairs.restored,
        backup=cleanup.backup,
        refused=[
            RefusalShape(kind=one.kind.value, message=one.message, reason=one.reason)
            for one in cleanup.refused
        ],
        passed=last.passed,
        check=checked_shape(last),
    )
