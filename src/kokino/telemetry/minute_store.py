"""How users' executions ended, minute by minute: what a chart of the last hour shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from kokino.storage.schema import rollups
from kokino.telemetry.model import Scope
from kokino.telemetry.windows import LENGTHS, Grain


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """One minute of UTC."""

    at: datetime
    #: Completed in it.
    good: int
    #: Failed, timed out, refused or lost in it.
    bad: int


def minutes(conn: Connection, *, until: datetime, count: int) -> tuple[Minute, ...]:
    """The last `count` minutes, the oldest first; the last one holds `until` and may not be over."""
    length = LENGTHS[Grain.MINUTE]
    last = until.replace(second=0, microsecond=0)
    first = last - length * (count - 1)
    rows = conn.execute(
        select(rollups.c.bucket_at, rollups.c.good, rollups.c.bad).where(
            rollups.c.scope == Scope.ALL.value,
            rollups.c.scope_id == "",
            rollups.c.grain == Grain.MINUTE.value,
            rollups.c.bucket_at.between(first, last),
        )
    )
    found = {row.bucket_at: row for row in rows}
    at = [first + length * number for number in range(count)]
    return tuple(
        Minute(at=one, good=found[one].good, bad=found[one].bad)
        if one in found
        else Minute(at=one, good=0, bad=0)
        for one in at
    )
