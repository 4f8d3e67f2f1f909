"""What faults of the file and of foreign keys are called, what they mean, and what to do about them."""

from __future__ import annotations

from collections.abc import Sequence

from kokino.integrity.mends import LOOK_UP, RESTORE, counted
from kokino.integrity.model import Finding, Kind
from kokino.storage.constraints import Broken
from kokino.storage.values import Misfits


def damaged(said: str, *, is_file: bool) -> Finding:
    """The file, or one of the server's relations."""
    mend = RESTORE if is_file else "stop all writers, keep a copy, restore the server's last backup"
    return Finding(
        kind=Kind.FILE_DAMAGE, message=f"the database is damaged: {said}", mend=mend, is_repairable=False
    )


def still_damaged(check_id: str, why: Sequence[str]) -> Finding:
    """Damage that an earlier check found, and that this one could not look for."""
    return Finding(
        kind=Kind.FILE_DAMAGE,
        message=f"the database was damaged at the check {check_id}, and nobody could look since:"
        f" {'; '.join(why)}",
        mend="make that look possible and check again; a look that finds nothing ends this",
        is_repairable=False,
    )


def unreadable(found: Misfits) -> Finding:
    """Rows with a value that whoever reads it fails by."""
    rows = counted(found.count, "row")
    return Finding(
        kind=Kind.UNREADABLE_VALUE,
        message=f"{rows} of {found.table}: the value of {found.column} is none that it may have",
        mend=f"put it right by hand: {LOOK_UP}",
        is_repairable=False,
        count=found.count,
        table=found.table,
        ids=found.ids,
    )


def broken(found: Broken) -> Finding:
    """Rows whose foreign key leads nowhere."""
    key = found.key
    mend = (
        "cleanup deletes such rows, which were to go with what they belonged to; the backup holds them"
        if key.goes_with_parent
        else f"such rows are to stay when what they belong to goes, so a person decides: {LOOK_UP}"
    )
    return Finding(
        kind=Kind.FOREIGN_KEY,
        message=f"{counted(found.count, 'row')} of {key.table}: {key.name} names no {key.target}",
        mend=mend,
        is_repairable=key.goes_with_parent,
        count=found.count,
        table=key.table,
        ids=found.ids,
    )
