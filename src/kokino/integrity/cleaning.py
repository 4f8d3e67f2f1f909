"""Clean the database up: look, back up, put right what may be, and look again."""

from __future__ import annotations

import structlog

from kokino.integrity import events, plan
from kokino.integrity.model import MOST_FINDINGS, Cleanup, Repairs, Report, Trigger
from kokino.integrity.repair import repair
from kokino.integrity.service import Integrity
from kokino.telemetry import store as telemetry

log = structlog.get_logger(__name__)


async def clean_up(
    integrity: Integrity, *, is_dry_run: bool, reference: str | None, by: str, max_delete: int | None = None
) -> Cleanup:
    """Back up, put right what may be, and check again.

    A dry run only looks and tells what that would be. It writes nothing down: the alert would fire, and its
    playbook clean up what somebody is still looking at.

    `reference` names a backup that the caller has made of a server's database; `max_delete` says how many
    rows may go where it is more than goes unasked. Raises `Conflict` where the file is damaged, where
    more would be deleted, and where such a backup is missing; then nothing is changed.
    """
    async with integrity.turn:
        look = integrity.looked if is_dry_run else integrity.checked
        before = await look(trigger=Trigger.CLEANUP, by=by)
        plan.may_clean(before)
        if is_dry_run or not before.repairable:
            would = plan.repairs_of(before) if is_dry_run else Repairs(deleted={})
            return _cleanup(before, None, would, backup=None, is_dry_run=is_dry_run)
        plan.may_delete(before, max_delete)
        return await _cleaned(integrity, before, reference=reference, by=by)


async def _cleaned(integrity: Integrity, before: Report, *, reference: str | None, by: str) -> Cleanup:
    backup = await integrity.secured(reference)
    repairs = await repair(integrity.storage)
    event = events.of_cleanup(repairs, backup=backup, by=by, at=integrity.clock.now())
    await integrity.storage.write(lambda conn: telemetry.append(conn, event))
    log.warning("the database was cleaned up", by=by, backup=backup, deleted=repairs.deleted_count)
    after = await integrity.checked(trigger=Trigger.CLEANUP, by=by)
    return _cleanup(before, after, repairs, backup=backup, is_dry_run=False)


def _cleanup(
    before: Report, after: Report | None, repairs: Repairs, *, backup: str | None, is_dry_run: bool
) -> Cleanup:
    return Cleanup(
        is_dry_run=is_dry_run,
        before=before,
        after=after,
        repairs=repairs,
        backup=backup,
        refused=plan.refusals_of(after or before)[:MOST_FINDINGS],
    )
