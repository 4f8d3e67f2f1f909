"""What a cleanup may do about what was found."""

from __future__ import annotations

from kokino.errors import Conflict
from kokino.integrity.model import Kind, Refusal, Repairs, Report


def may_clean(report: Report) -> None:
    """Raise `Conflict` where the file is damaged: whatever is written into it then may make it worse.

    So it does where values cannot be read: a cleanup would break off at the first of them.
    """
    if report.is_unreadable and not report.is_damaged:
        found = next(finding for finding in report.findings if finding.kind is Kind.UNREADABLE_VALUE)
        raise Conflict(f"nothing was cleaned up: {found.message}; {found.mend}")
    if not report.is_damaged:
        return
    found = next(finding for finding in report.findings if finding.kind is Kind.FILE_DAMAGE)
    raise Conflict(
        f"nothing was cleaned up: {found.message}. A damaged file is never repaired in place; escalate to the"
        f" data lead, then {found.mend}"
    )


def may_delete(report: Report, most: int | None) -> None:
    """Raise `Conflict` where more would be deleted than goes unasked, and than whoever asks says, `most`."""
    if report.would_delete <= max(report.may_delete, most or 0):
        return
    raise Conflict(
        f"nothing was cleaned up: {report.would_delete:,} rows would be deleted, and unasked it may be"
        f" {report.may_delete:,} of {report.turns:,} turns. Look at the check and at a backup, then allow it:"
        f' {{"maxDelete": {report.would_delete}}}, or kokino integrity cleanup'
        f" --max-delete {report.would_delete}"
    )


def repairs_of(report: Report) -> Repairs:
    """What a cleanup would put right, if nothing changes until then."""
    deleted = dict(report.repairable)
    renumbered = deleted.pop(Kind.TURN_ORDER, 0)
    deleted.pop(Kind.LOST_CONVERSATION, None)
    # Of more than a check keeps, this many at least.
    restored = sum(finding.kind is Kind.LOST_CONVERSATION for finding in report.findings)
    return Repairs(deleted=deleted, renumbered=renumbered, restored=restored)


def refusals_of(report: Report) -> list[Refusal]:
    """What a cleanup leaves alone, and why."""
    return [
        Refusal(kind=finding.kind, message=finding.message, reason=finding.mend)
        for finding in report.findings
        if not finding.is_repairable
    ]
