"""``/api/deliveries``: what was sent to whom, and what came of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from kokino.api.routing import router_of
from kokino.api.services import Given
from kokino.api.shapes import Cursor, Page, Shape, Time
from kokino.notify import store

router = router_of("notifications", prefix="/api/deliveries")


class DeliveryShape(Shape):
    """One message to one receiver."""

    delivery_id: int
    receiver: str
    action: str
    dedup_key: str
    state: str
    attempts: int
    queued_at: Time
    due_at: Time
    delivered_at: Time | None
    reference: str | None
    error: str | None
    incident: int | None


@router.get("")
async def page(
    given: Given, limit: Annotated[int, Query(ge=1, le=1000)] = 50, cursor: Cursor | None = None
) -> Page[DeliveryShape]:
    """Deliveries, the newest first."""
    found = await given.storage.read(lambda conn: store.deliveries(conn, before=cursor, limit=limit + 1))
    more = str(found[limit - 1].delivery_id) if len(found) > limit else None
    return Page(items=[DeliveryShape.model_validate(one) for one in found[:limit]], next_cursor=more)
