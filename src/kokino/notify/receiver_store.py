"""How each receiver has fared, from its deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, func, select

from kokino.notify.model import DeliveryState
from kokino.notify.store import OPEN
from kokino.storage.schema import deliveries


@dataclass(frozen=True, slots=True, kw_only=True)
class Fared:
    """What became of the deliveries to one receiver."""

    receiver: str
    #: Deliveries that still have to go out.
    waiting: int
    #: Since when the oldest of them waits; None without any.
    waiting_since: datetime | None
    #: When it last took something; None when it never did.
    delivered_at: datetime | None
    #: The state of its newest delivery, and what its last attempt ran into.
    state: DeliveryState
    error: str | None


def fared(conn: Connection) -> dict[str, Fared]:
    """Every receiver that was ever sent something, by name."""
    is_open = deliveries.c.state.in_(OPEN)
    sums = (
        select(
            deliveries.c.receiver,
            func.sum(case((is_open, 1), else_=0)).label("waiting"),
            func.min(case((is_open, deliveries.c.queued_at))).label("waiting_since"),
            func.max(deliveries.c.delivered_at).label("last_delivered_at"),
            func.max(deliveries.c.delivery_id).label("newest"),
        )
        .group_by(deliveries.c.receiver)
        .subquery()
    )
    query = select(sums, deliveries.c.state, deliveries.c.error).join(
        deliveries, deliveries.c.delivery_id == sums.c.newest
    )
    return {
        row.receiver: Fared(
            receiver=row.receiver,
            waiting=int(row.waiting),
            waiting_since=row.waiting_since,
            delivered_at=row.last_delivered_at,
            state=DeliveryState(row.state),
            error=row.error,
        )
        for row in conn.execute(query)
    }
