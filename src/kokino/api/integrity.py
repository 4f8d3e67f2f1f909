"""``/api/integrity``: whether what was written down is whole, what puts it right, and backups."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from kokino.api.guard import check_page
from kokino.api.services import Caller, Given
from kokino.api.shapes import Body, Shape, Time
from kokino.clock import MILLISECOND
from kokino.conversations import fault_store
from kokino.integrity.backups import Backup
from kokino.integrity.model import Cleanup, Finding, Kind, Report

router = APIRouter(prefix="/api/integrity", tags=["integrity"])


class IssueShape(Shape):
    """One thing that is wrong."""

    #: ``file_damage``, ``lost_conversation``, ``orphaned_turn``, ``turn_order``, ``duplicate_turn``,
    #: ``foreign_turn``, ``dangling_session``, ``execution_without_end`` or ``foreign_key``.
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
    #: ``nightly``, ``asked`` or ``cleanup``.
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

    #: Now, and conversations with a fault at the last check.
    conversations: int
    turns: int
    affected: int
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


@router.get("/check")
async def check(given: Given, caller: Caller, request: Request) -> CheckedShape:
    """Look through the whole database; the alert hears of it. Who asks meanwhile gets the same check."""
    # A GET by the specification, but it writes down what it found: no other site's page may ask for that.
    check_page("POST", request.headers)
    return _checked(await given.integrity.check(by=caller.subject))


@router.get("/stats")
async def stats(given: Given, limit: Annotated[int, Query(ge=1, le=100)] = 30) -> Stats:
    """What there is, the last checks and the backups. Looks at nothing anew."""
    conversations, turns = await given.storage.read(fault_store.totals)
    history = await given.integrity.history(limit=limit)
    backups = given.integrity.backups
    last = history[0] if history else None
    return Stats(
        conversations=conversations,
        turns=turns,
        affected=0 if last is None else last.affected,
        last_check=None if last is None else _checked(last),
        history=[Summary(**_summary(report)) for report in history],
        next_check_at=given.nightly.next_at,
        backup_folder=None if backups.folder is None else str(backups.folder),
        backups=[_backup(backup) for backup in await asyncio.to_thread(backups.list)],
    )


@router.post("/cleanup")
async def clean(given: Given, caller: Caller, body: CleanupBody | None = None) -> CleanedShape:
    """Make a backup, put right what can be put right in one way only, and check again.

    A damaged file is left alone and refused with 409. So is what would delete more than ``mayDelete`` rows of
    the check, unless ``maxDelete`` allows as many. On PostgreSQL a backup of yours must be named.
    """
    wanted = body or CleanupBody()
    return _cleaned(
        await given.integrity.cleanup(
            is_dry_run=wanted.dry_run,
            reference=wanted.backup,
            max_delete=wanted.max_delete,
            by=caller.subject,
        )
    )


@router.post("/backup")
async def back_up(given: Given) -> BackupShape:
    """Copy the database while it is in use, and check the copy. SQLite only."""
    return _backup(await given.integrity.back_up())


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
    }


def _checked(report: Report) -> CheckedShape:
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


def _backup(backup: Backup) -> BackupShape:
    return BackupShape(
        path=str(backup.path), why=backup.why.value, timestamp=backup.made_at, size_bytes=backup.size_bytes
    )


def _cleaned(cleanup: Cleanup) -> CleanedShape:
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
        check=_checked(last),
    )
