"""What the rest of the broker hears of integrity: alerts, service levels and people go by these events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from kokino.integrity.acceptance_store import Acceptance
from kokino.integrity.mends import counted
from kokino.integrity.model import Finding, Kind, Repairs, Report
from kokino.telemetry.model import Event, EventType

#: Ids that an event names.
NAMED = 20


def of_report(report: Report, *, at: datetime) -> Iterator[Event]:
    """The events of one check: what raises the alert first, then how the check came out.

    One event for each kind of fault, however many rows have it: an alert needs one, the check has them all.
    """
    for kind, count in report.counts.items():
        found = [finding for finding in report.findings if finding.kind is kind]
        yield Event(
            type=_type(kind),
            at=at,
            message=_message(found, report, kind),
            data={"checkId": report.check_id, "fault": kind.value, "count": count, "ids": _ids(found)},
        )
    yield Event(
        type=EventType.INTEGRITY_CHECK_PASSED if report.passed else EventType.INTEGRITY_CHECK_FAILED,
        at=at,
        message=None
        if report.passed
        else f"{report.total:,} findings in {report.conversations:,} conversations",
        data={
            "checkId": report.check_id,
            "conversations": report.conversations,
            "faulty": report.affected,
            "accepted": report.accepted,
            "trigger": report.trigger.value,
        },
    )


def of_cleanup(repairs: Repairs, *, backup: str, by: str, at: datetime) -> Event:
    """What a cleanup did."""
    return Event(
        type=EventType.INTEGRITY_CLEANUP,
        at=at,
        message=f"{repairs.deleted_count:,} rows deleted, {repairs.restored:,} conversations inserted again"
        f" and {repairs.renumbered:,} turns renumbered by {by}",
        data={
            "deleted": {kind.value: count for kind, count in repairs.deleted.items()},
            "renumbered": repairs.renumbered,
            "restored": repairs.restored,
            "backup": backup,
            "by": by,
        },
    )


def of_acceptance(turn_ids: Sequence[str], acceptance: Acceptance) -> Event:
    """Foreign turns are taken as they are."""
    return Event(
        type=EventType.INTEGRITY_ACCEPTED,
        at=acceptance.at,
        message=f"{counted(len(turn_ids), 'foreign turn')} accepted by {acceptance.by}: {acceptance.reason}",
        data={
            "count": len(turn_ids),
            "turns": list(turn_ids[:NAMED]),
            "by": acceptance.by,
            "reason": acceptance.reason,
        },
    )


def of_removal(turn_ids: Sequence[str], *, reason: str, backup: str, by: str, at: datetime) -> Event:
    """Foreign turns were deleted."""
    return Event(
        type=EventType.INTEGRITY_REMOVED,
        at=at,
        message=f"{counted(len(turn_ids), 'foreign turn')} removed by {by}: {reason}",
        data={
            "count": len(turn_ids),
            "turns": list(turn_ids[:NAMED]),
            "backup": backup,
            "by": by,
            "reason": reason,
        },
    )


def _type(kind: Kind) -> EventType:
    if kind in {Kind.LOST_CONVERSATION, Kind.ORPHANED_TURN}:
        return EventType.ORPHAN_DETECTED
    return EventType.CONVERSATION_INTEGRITY_FAIL


def _message(found: list[Finding], report: Report, kind: Kind) -> str:
    if not found:  # graver kinds alone filled what a check keeps
        return f"{kind.value}: {report.counts[kind]:,} rows"
    more = f", and {len(found) - 1:,} more" if len(found) > 1 else ""
    return f"{found[0].message}{more}"


def _ids(found: list[Finding]) -> list[str]:
    return [one for finding in found for one in finding.ids][:NAMED]
