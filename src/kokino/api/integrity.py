"""``/api/integrity``: whether what was written down is whole, what puts it right, and backups."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request

from kokino.api.guard import check_page
from kokino.api.integrity_shapes import (
    BackupShape,
    CheckedShape,
    CleanedShape,
    CleanupBody,
    Stats,
    backup_shape,
    checked_shape,
    cleaned_shape,
    stats_shape,
)
from kokino.api.routing import router_of
from kokino.api.services import Caller, Given
from kokino.integrity.cleaning import clean_up
from kokino.integrity.standing import standing

router = router_of("integrity", prefix="/api/integrity")


@router.get("/check")
async def check(given: Given, caller: Caller, request: Request) -> CheckedShape:
    """Look through the whole database; who asks meanwhile gets the same check.

    The alert hears of what is found, and its playbook cleans up what may be. A cleanup's dry run is quiet.
    """
    # A GET by the specification, but it writes down what it found: no other site's page may ask for that.
    check_page("POST", request.headers)
    return checked_shape(await given.integrity.check(by=caller.subject))


@router.get("/stats")
async def stats(given: Given, limit: Annotated[int, Query(ge=1, le=100)] = 30) -> Stats:
    """What there is, the last checks and the backups. Looks at nothing anew."""
    backups = given.integrity.backups
    found = await standing(given.storage, backups, limit=limit)
    return stats_shape(found, backups.folder, given.nightly.next_at)


@router.post("/cleanup")
async def clean(given: Given, caller: Caller, body: CleanupBody | None = None) -> CleanedShape:
    """Make a backup, put right what can be put right in one way only, and check again.

    A damaged file is left alone and refused with 409. So is what would delete more than ``mayDelete`` rows of
    the check, unless ``maxDelete`` allows as many. On PostgreSQL a backup of yours must be named.
    With ``dryRun`` it only looks: nothing is written down, and no alert hears of it.
    """
    wanted = body or CleanupBody()
    return cleaned_shape(
        await clean_up(
            given.integrity,
            is_dry_run=wanted.dry_run,
            reference=wanted.backup,
            max_delete=wanted.max_delete,
            by=caller.subject,
        )
    )


@router.post("/backup")
async def back_up(given: Given) -> BackupShape:
    """Copy the database while it is in use, and check the copy. SQLite only."""
    return backup_shape(await given.integrity.back_up())
