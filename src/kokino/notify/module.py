"""The engine's module that empties the outbox."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from kokino.clock import Clock
from kokino.notify import store
from kokino.notify.channel import Channel
from kokino.notify.model import Attempt, Delivery, DeliveryState, Outcome, Receipt
from kokino.notify.retry import Verdict, decide
from kokino.notify.tally import Tally
from kokino.storage import Storage
from kokino.tasks import Tasks

log = structlog.get_logger(__name__)

#: A broker that dies while it sends keeps a delivery to itself for this long.
LEASE = timedelta(minutes=1)
#: Deliveries that may be on their way to one receiver at a time: a slow one cannot take every connection.
PER_RECEIVER = 8
#: How long a stop waits for what is being sent: an answer heard now is a repeat saved later.
GRACE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """What one pass over the outbox found."""

    #: Leased, and its attempt written down: to be sent now.
    to_send: list[tuple[Delivery, Attempt]]
    #: Ended without being sent.
    ended: list[Delivery]
    #: When there may be more to do.
    due_at: datetime | None


class Deliveries:
    """Sends what waits: each delivery leased, its attempt written down, sent, its outcome written down.

    Every delivery has a task of its own, so a slow receiver holds up nobody else. A delivery whose broker
    died is sent again once its lease is over; an attempt that nobody saw end stays without an outcome.
    """

    name = "deliveries"

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        channels: Mapping[str, Channel],
        wake: Callable[[], None],
        jitter: random.Random,
        *,
        grace: timedelta = GRACE,
    ) -> None:
        self.tasks = Tasks()
        #: What became of deliveries so far.
        self.tally = Tally(channels)
        self._storage = storage
        self._clock = clock
        self._channels = channels
        self._wake = wake
        self._jitter = jitter
        self._grace = grace
        self._sending: dict[int, str] = {}

    async def run(self, now: datetime) -> datetime | None:
        """Start sending what is due at `now`; return when something is due next.

        What is being sent is not in that answer: its end wakes the engine.
        """
        if await self._storage.read(store.oldest_waiting) is None:
            return None  # the engine turns at every end of an execution: most times there is nothing to send
        sending = frozenset(self._sending)
        busy = Counter(self._sending.values())
        slots = {name: max(PER_RECEIVER - busy[name], 0) for name in self._channels}
        taken = await self._storage.write(lambda conn: _take(conn, now, slots, sending))
        for delivery in taken.ended:
            self.tally.ended(delivery.receiver, delivery.state)
            _tell_end(delivery)
        for delivery, attempt in taken.to_send:
            self._sending[delivery.delivery_id] = delivery.receiver
            self.tasks.start(self._deliver(delivery, attempt), name=f"delivery {delivery.delivery_id}")
        return taken.due_at

    @property
    def in_flight(self) -> int:
        """How many deliveries are being sent."""
        return len(self._sending)

    async def stop(self) -> None:
        """Wait a little for what is being sent, then let go of it: it stays leased and uncertain."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._grace.total_seconds()):
                await self.tasks.settled()
        await self.tasks.stop()

    async def _deliver(self, delivery: Delivery, attempt: Attempt) -> None:
        try:
            receipt = await _send(self._channels[delivery.receiver], delivery)
            await self._finish(delivery, attempt, receipt)
        finally:
            # In this order: whoever is woken must not find this delivery in flight any more.
            del self._sending[delivery.delivery_id]
            self._wake()

    async def _finish(self, delivery: Delivery, attempt: Attempt, receipt: Receipt) -> None:
        now = self._clock.now()
        begun = _begun(delivery, attempt)
        verdict = decide(begun, receipt, now=now, spread=self._jitter.random())
        await self._storage.write(lambda conn: store.finish_attempt(conn, attempt, receipt, verdict, now))
        self.tally.attempted(delivery.receiver, receipt)
        self.tally.ended(delivery.receiver, verdict.state)
        _tell_attempt(begun, verdict, receipt)


def _take(conn: Connection, now: datetime, slots: Mapping[str, int], sending: Collection[int]) -> _Taken:
    ended = store.fail_unknown(conn, slots.keys(), now) + store.cancel_orphans(conn)
    claimed = store.claim(conn, now, LEASE, slots=slots, exclude=sending)
    to_send = [(delivery, store.start_attempt(conn, delivery, now)) for delivery in claimed]
    taken = Counter(delivery.receiver for delivery in claimed)
    # A receiver with no slot left is not waited for by the clock: the end of one of its deliveries wakes us.
    free = [name for name, slot in slots.items() if slot > taken[name]]
    exclude = {*sending, *(delivery.delivery_id for delivery in claimed)}
    return _Taken(to_send=to_send, ended=ended, due_at=store.next_due(conn, receivers=free, exclude=exclude))


async def _send(channel: Channel, delivery: Delivery) -> Receipt:
    try:
        return await channel.send(delivery)
    except Exception as error:
        # A mistake of ours in a channel. What it did first is not known; the next attempt may fare better.
        log.exception("a channel failed", receiver=delivery.receiver, delivery=delivery.delivery_id)
        return Receipt(outcome=Outcome.UNCERTAIN, detail=f"the channel failed: {type(error).__name__}")


def _begun(delivery: Delivery, attempt: Attempt) -> Delivery:
    return dataclasses.replace(delivery, attempts=attempt.number)


def _tell_attempt(delivery: Delivery, verdict: Verdict, receipt: Receipt) -> None:
    facts = {
        "delivery": delivery.delivery_id,
        "receiver": delivery.receiver,
        "action": delivery.action.value,
        "attempt": delivery.attempts,
        "detail": receipt.detail,
    }
    match verdict.state:
        case DeliveryState.DELIVERED:
            log.info("delivered", **facts)
        case DeliveryState.WAITING:
            log.warning("not delivered, tried again", outcome=receipt.outcome.value, **facts)
        case _:
            log.error("a delivery was given up", state=verdict.state.value, **facts)


def _tell_end(delivery: Delivery) -> None:
    write = log.info if delivery.state is DeliveryState.CANCELLED else log.error
    write(
        "a delivery ended unsent",
        delivery=delivery.delivery_id,
        receiver=delivery.receiver,
        action=delivery.action.value,
        state=delivery.state.value,
        reason=delivery.error,
    )
