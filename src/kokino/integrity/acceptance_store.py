"""Which foreign turns somebody accepted, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from kokino.storage.schema import accepted_turns

#: Ids in one query: SQLite takes 32766, and less in an older one.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """That a turn is taken as it is."""

    at: datetime
    #: Who accepted it.
    by: str
    reason: str


def accept(conn: Connection, turn_ids: Collection[str], acceptance: Acceptance) -> list[str]:
    """Accept those of these turns that are not accepted yet; which they were.

    An acceptance goes with its turn.
    """
    fresh = sorted(set(turn_ids) - accepted(conn, turn_ids).keys())
    if fresh:
        values = {
            "accepted_at": acceptance.at,
            "accepted_by": acceptance.by,
            "reason": acceptance.reason,
        }
        conn.execute(insert(accepted_turns), [{"turn_id": turn_id, **values} for turn_id in fresh])
    return fresh


def accepted(conn: Connection, turn_ids: Collection[str]) -> dict[str, Acceptance]:
    """Those of these turns that are accepted."""
    return {
        row.turn_id: Acceptance(at=row.accepted_at, by=row.accepted_by, reason=row.reason)
        for some in _some(turn_ids)
        for row in conn.execute(select(accepted_turns).where(accepted_turns.c.turn_id.in_(some)))
    }


def count(conn: Connection) -> int:
    """How many are accepted."""
    return conn.scalar(select(func.count()).select_from(accepted_turns)) or 0


def _some(turn_ids: Collection[str]) -> Iterator[list[str]]:
    wanted = list(turn_ids)
    return (wanted[start : start + _AT_ONCE] for start in range(0, len(wanted), _AT_ONCE))
