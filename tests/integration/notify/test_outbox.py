"""The outbox's rows, on both databases: what may be claimed, by whom, in which order."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Connection

from kokino.notify import store
from kokino.notify.model import (
    Action,
    Attempt,
    Delivery,
    DeliveryState,
    Link,
    Message,
    Outcome,
    Receipt,
    Severity,
)
from kokino.notify.retry import Verdict
from kokino.storage import Storage
from kokino.testing.clock import ManualClock

LEASE = timedelta(minutes=1)
SLOTS = {"oncall": 8, "headless": 8}
ACCEPTED = Receipt(outcome=Outcome.ACCEPTED, detail="202", reference="ref")
REFUSED = Receipt(outcome=Outcome.REFUSED, detail="400: invalid")
LOST = Receipt(outcome=Outcome.UNCERTAIN, detail="sent, but the answer was lost")
DELIVERED = Verdict(state=DeliveryState.DELIVERED)
FAILED = Verdict(state=DeliveryState.FAILED, reason="400: invalid")


class Outbox:
    """The store's functions, each in a transaction of its own, at the time of the clock."""

    def __init__(self, storage: Storage, clock: ManualClock, message: Message) -> None:
        self.storage = storage
        self.clock = clock
        self.message = message

    async def put(
        self,
        action: Action = Action.TRIGGER,
        key: str = "k",
        *,
        receiver: str = "oncall",
        episode: str = "e1",
    ) -> int:
        """Enqueue one delivery."""
        now = self.clock.now()
        return await self.storage.write(
            lambda conn: store.enqueue(
                conn,
                receiver=receiver,
                action=action,
                dedup_key=key,
                message=self.message,
                now=now,
                episode_id=episode,
            )
        )

    async def claim(
        self, slots: dict[str, int] | None = None, exclude: tuple[int, ...] = ()
    ) -> list[Delivery]:
        """Claim what is due."""
        now = self.clock.now()
        return await self.storage.write(
            lambda conn: store.claim(conn, now, LEASE, slots=slots or SLOTS, exclude=exclude)
        )

    async def start(self, delivery: Delivery) -> Attempt:
        """Begin an attempt."""
        now = self.clock.now()
        return await self.storage.write(lambda conn: store.start_attempt(conn, delivery, now))

    async def finish(self, attempt: Attempt, receipt: Receipt, verdict: Verdict) -> None:
        """End an attempt."""
        now = self.clock.now()
        await self.storage.write(lambda conn: store.finish_attempt(conn, attempt, receipt, verdict, now))

    async def settle(self, receipt: Receipt, verdict: Verdict) -> list[int]:
        """Claim what is due and give all of it the same end."""
        claimed = await self.claim()
        for delivery in claimed:
            await self.finish(await self.start(delivery), receipt, verdict)
        return [delivery.delivery_id for delivery in claimed]

    async def states(self) -> list[DeliveryState]:
        """Of all deliveries, in the order of their ids."""
        found = await self.storage.read(store.deliveries)
        return [delivery.state for delivery in reversed(found)]


@pytest.fixture
def outbox(storage: Storage, clock: ManualClock, message: Message) -> Outbox:
    """An empty outbox."""
    return Outbox(storage, clock, message)


def ids(found: list[Delivery]) -> list[int]:
    """Their ids."""
    return [delivery.delivery_id for delivery in found]


async def test_a_message_survives_the_database(storage: Storage, clock: ManualClock) -> None:
    """What is read is what was put in, whatever characters it has."""
    message = Message(
        severity=Severity.P1,
        title='Überlauf 🚨 \u0000 "quoted"',
        summary=(("Current", "98.2% (target: 99.5%)"),),
        text="line\nline",
        links=(Link(text="Dashboard", url="http://127.0.0.1:5050/"),),
        source="kokino",
        probable_cause="auth",
        rule="availability-slo-breach",
        details={"current": 0.982, "errorBudget": {"minutesTotal": 216}},
    )
    await Outbox(storage, clock, message).put()
    [found] = await storage.read(store.deliveries)
    assert found.message == message


async def test_a_caller_that_fails_leaves_nothing_in_the_outbox(outbox: Outbox) -> None:
    """The message stands or falls with the transaction that decided on it."""

    def decide_and_fail(conn: Connection) -> None:
        store.enqueue(
            conn,
            receiver="oncall",
            action=Action.TRIGGER,
            dedup_key="k",
            message=outbox.message,
            now=outbox.clock.now(),
        )
        raise LookupError("the tier is gone")

    with pytest.raises(LookupError):
        await outbox.storage.write(decide_and_fail)
    assert await outbox.states() == []


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_that_no_receiver_takes_is_refused_at_once(outbox: Outbox, key: str) -> None:
    """Better an error where it was made than a 400 from PagerDuty."""
    with pytest.raises(ValueError, match="dedup key"):
        await outbox.put(key=key)


async def test_a_claimed_delivery_is_not_claimed_again_within_its_lease(outbox: Outbox) -> None:
    """Two brokers never send the same delivery at the same time."""
    delivery_id = await outbox.put()
    assert ids(await outbox.claim()) == [delivery_id]
    outbox.clock.advance(seconds=59)
    assert await outbox.claim() == []


async def test_a_lease_that_ran_out_is_claimed_again_and_its_attempt_stays_without_outcome(
    outbox: Outbox,
) -> None:
    """A broker that died while it sent may have been heard: uncertain, not failed."""
    await outbox.put()
    [first] = await outbox.claim()
    await outbox.start(first)
    outbox.clock.advance(minutes=1)
    [again] = await outbox.claim()
    [attempt] = await outbox.storage.read(lambda conn: store.attempts(conn, first.delivery_id))
    assert again.is_uncertain
    assert (attempt.outcome, attempt.ended_at) == (None, outbox.clock.now())


async def test_what_is_still_being_sent_here_is_not_claimed_though_its_lease_is_over(outbox: Outbox) -> None:
    """Under a scaled clock a lease can end before the answer comes."""
    delivery_id = await outbox.put()
    await outbox.claim()
    outbox.clock.advance(minutes=1)
    assert await outbox.claim(exclude=(delivery_id,)) == []


async def test_a_resolve_waits_for_its_trigger(outbox: Outbox) -> None:
    """Within a receiver and dedup key only the oldest open delivery goes out."""
    trigger, resolve = await outbox.put(), await outbox.put(Action.RESOLVE)
    assert await outbox.settle(ACCEPTED, DELIVERED) == [trigger]
    assert await outbox.settle(ACCEPTED, DELIVERED) == [resolve]


async def test_a_trigger_that_is_tried_again_holds_back_its_resolve(outbox: Outbox) -> None:
    """Not even while the trigger waits for its next attempt does the resolve go first."""
    await outbox.put()
    await outbox.put(Action.RESOLVE)
    later = outbox.clock.now() + timedelta(minutes=5)
    again = Receipt(outcome=Outcome.RETRY, detail="503")
    await outbox.settle(again, Verdict(state=DeliveryState.WAITING, due_at=later, reason="503"))
    assert await outbox.claim() == []


async def test_other_keys_and_other_receivers_do_not_wait(outbox: Outbox) -> None:
    """One page that cannot go out holds up no other."""
    first = await outbox.put(key="a")
    await outbox.put(Action.RESOLVE, key="a")
    other_key = await outbox.put(key="b")
    other_receiver = await outbox.put(Action.RESOLVE, key="a", receiver="headless")
    assert ids(await outbox.claim()) == [first, other_key, other_receiver]


async def test_no_more_is_claimed_than_a_receiver_has_slots(outbox: Outbox) -> None:
    """The oldest go first; a receiver without a slot is left alone."""
    first = await outbox.put(key="a")
    await outbox.put(key="b")
    await outbox.put(key="c", receiver="headless")
    assert ids(await outbox.claim({"oncall": 1, "headless": 0})) == [first]


@pytest.mark.parametrize("action", [Action.RESOLVE, Action.ACKNOWLEDGE, Action.UPDATE])
async def test_a_trigger_that_failed_cancels_what_follows_it(outbox: Outbox, action: Action) -> None:
    """There is nothing to resolve where nothing was opened; the reason says so."""
    await outbox.put()
    await outbox.put(action)
    await outbox.settle(REFUSED, FAILED)
    [cancelled] = await outbox.storage.write(store.cancel_orphans)
    assert cancelled.state is DeliveryState.CANCELLED
    assert cancelled.error == "not sent: its trigger, delivery 1, failed: 400: invalid"


async def test_a_resolve_that_comes_after_its_trigger_failed_is_cancelled_too(outbox: Outbox) -> None:
    """It makes no difference which of the two happened first."""
    await outbox.put()
    await outbox.settle(REFUSED, FAILED)
    resolve = await outbox.put(Action.RESOLVE)
    assert ids(await outbox.storage.write(store.cancel_orphans)) == [resolve]


async def test_a_trigger_that_nobody_is_sure_of_is_resolved_all_the_same(outbox: Outbox) -> None:
    """The receiver may have it, and then it must not stay open for ever."""
    await outbox.put()
    resolve = await outbox.put(Action.RESOLVE)
    await outbox.settle(LOST, Verdict(state=DeliveryState.UNCERTAIN, reason="given up"))
    assert await outbox.storage.write(store.cancel_orphans) == []
    assert await outbox.settle(ACCEPTED, DELIVERED) == [resolve]


async def test_only_the_newest_trigger_decides_on_a_resolve(outbox: Outbox) -> None:
    """A later trigger of the key that went out is what the resolve ends."""
    await outbox.put()
    await outbox.settle(REFUSED, FAILED)
    await outbox.put()
    await outbox.settle(ACCEPTED, DELIVERED)
    await outbox.put(Action.RESOLVE)
    assert await outbox.storage.write(store.cancel_orphans) == []


async def test_a_receiver_that_the_configuration_lost_fails_its_deliveries(outbox: Outbox) -> None:
    """They would wait for ever; those of others stay."""
    await outbox.put(key="a", receiver="gone")
    await outbox.put(key="b")
    now = outbox.clock.now()
    [lost] = await outbox.storage.write(lambda conn: store.fail_unknown(conn, {"oncall"}, now))
    assert (lost.state, lost.error) == (DeliveryState.FAILED, "receiver 'gone' is not configured any more")
    assert await outbox.states() == [DeliveryState.FAILED, DeliveryState.WAITING]


async def test_an_attempt_that_comes_home_late_counts_only_if_it_was_accepted(outbox: Outbox) -> None:
    """After the lease the newer attempt speaks, unless the older one delivered."""
    await outbox.put()
    [delivery] = await outbox.claim()
    late = await outbox.start(delivery)
    outbox.clock.advance(minutes=1)
    [again] = await outbox.claim()
    await outbox.start(again)
    await outbox.finish(late, REFUSED, FAILED)
    assert await outbox.states() == [DeliveryState.LEASED]
    await outbox.finish(late, ACCEPTED, DELIVERED)
    assert await outbox.states() == [DeliveryState.DELIVERED]


async def test_a_delivery_tells_what_the_receiver_called_it(outbox: Outbox) -> None:
    """Its reference, its time, and no error of an earlier attempt."""
    await outbox.put()
    later = Verdict(state=DeliveryState.WAITING, due_at=outbox.clock.now(), reason="503")
    await outbox.settle(Receipt(outcome=Outcome.RETRY, detail="503"), later)
    await outbox.settle(ACCEPTED, DELIVERED)
    [found] = await outbox.storage.read(store.deliveries)
    assert (found.reference, found.delivered_at, found.error, found.attempts) == (
        "ref",
        outbox.clock.now(),
        None,
        2,
    )


async def test_next_due_is_the_edge_at_which_a_claim_finds_something(outbox: Outbox) -> None:
    """A waiting head's time, or the end of a lease; what waits behind a head does not count."""

    async def next_due() -> object:
        return await outbox.storage.read(lambda conn: store.next_due(conn, receivers=SLOTS))

    assert await next_due() is None
    start = outbox.clock.now()
    await outbox.put()
    await outbox.put(Action.RESOLVE)
    assert await next_due() == start
    await outbox.claim()
    assert await next_due() == start + LEASE


async def test_the_oldest_waiting_delivery_tells_how_long_somebody_has_not_been_told(outbox: Outbox) -> None:
    """Counted from when it was put in, until it is out."""
    start = outbox.clock.now()
    assert await outbox.storage.read(store.oldest_waiting) is None
    await outbox.put()
    outbox.clock.advance(minutes=3)
    await outbox.put(key="younger")
    assert await outbox.storage.read(store.oldest_waiting) == start


async def test_lists_are_newest_first_and_go_on_from_an_id(outbox: Outbox) -> None:
    """By episode and by state, a page at a time."""
    for number in range(4):
        await outbox.put(key=f"k{number}", episode="e2" if number == 1 else "e1")
    await outbox.settle(REFUSED, FAILED)

    def listed(conn: Connection) -> list[Delivery]:
        return store.deliveries(conn, episode_id="e1", state=DeliveryState.FAILED, before=4, limit=2)

    assert ids(await outbox.storage.read(listed)) == [3, 1]
