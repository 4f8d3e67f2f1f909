"""Deliveries that ended are kept for a time, with their attempts; one that waits stays. On both databases."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, func, select

from kokino.notify import retention_store, store
from kokino.notify.model import Action, DeliveryState, Message, Outcome, Receipt
from kokino.notify.retry import Verdict
from kokino.storage import Storage
from kokino.storage.schema import delivery_attempts
from kokino.telemetry.retention import Retention
from kokino.testing.clock import ManualClock

KEPT = timedelta(days=400)


async def test_only_what_ended_long_ago_goes(storage: Storage, clock: ManualClock, message: Message) -> None:
    """What waits is not forgotten, however long it waits."""

    def put(conn: Connection, key: str) -> None:
        store.enqueue(
            conn, receiver="oncall", action=Action.TRIGGER, dedup_key=key, message=message, now=clock.now()
        )

    def deliver(conn: Connection) -> None:
        accepted = Receipt(outcome=Outcome.ACCEPTED, detail="202")
        for delivery in store.claim(conn, clock.now(), timedelta(minutes=1), slots={"oncall": 1}):
            attempt = store.start_attempt(conn, delivery, clock.now())
            store.finish_attempt(conn, attempt, accepted, Verdict(state=DeliveryState.DELIVERED), clock.now())

    for key in ("old", "young"):
        await storage.write(lambda conn, key=key: put(conn, key))  # type: ignore[misc]
        await storage.write(deliver)
        clock.advance(milliseconds=1)
    await storage.write(lambda conn: put(conn, "waits"))
    now = clock.now() - timedelta(milliseconds=1) + KEPT

    await Retention(storage, {retention_store.DELIVERIES: KEPT}).run(now)

    left = await storage.read(store.deliveries)
    assert [delivery.dedup_key for delivery in left] == ["waits", "young"]
    attempts = await storage.read(
        lambda conn: conn.scalar(select(func.count(delivery_attempts.c.attempt_id)))
    )
    assert attempts == 1
