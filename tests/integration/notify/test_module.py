"""The outbox emptied: real receivers, both databases, virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
import structlog

from kokino.notify import store
from kokino.notify.channel import Channel
from kokino.notify.channels import LogChannel, PagerDutyChannel, SlackChannel
from kokino.notify.model import Action, Attempt, Delivery, DeliveryState, Message, Outcome, Receipt
from kokino.notify.module import PER_RECEIVER, Deliveries
from kokino.storage import Storage
from kokino.testing.clock import ManualClock
from kokino.testing.receivers import PagerState, RecordingPagerDuty, RecordingSlack


@dataclass(slots=True, kw_only=True)
class Desk:
    """An outbox with its module, and a clock to move."""

    storage: Storage
    clock: ManualClock
    module: Deliveries
    message: Message
    #: Set by the module when something ended.
    woken: asyncio.Event

    async def put(self, action: Action = Action.TRIGGER, key: str = "k", *, receiver: str = "oncall") -> int:
        """Enqueue one delivery."""
        now = self.clock.now()
        return await self.storage.write(
            lambda conn: store.enqueue(
                conn, receiver=receiver, action=action, dedup_key=key, message=self.message, now=now
            )
        )

    async def cycle(self) -> None:
        """One run of the module, and the end of all that it started."""
        await self.module.run(self.clock.now())
        await self.module.tasks.settled()

    async def drain(self) -> None:
        """Run until nothing is due any more, moving the clock to each due instant."""
        while (due := await self.module.run(self.clock.now())) is not None or self.module.in_flight:
            await self.module.tasks.settled()
            if due is not None:
                self.clock.move_to(max(due, self.clock.now()))

    async def deliveries(self) -> list[Delivery]:
        """All of them, oldest first."""
        return (await self.storage.read(store.deliveries))[::-1]

    async def states(self) -> list[DeliveryState]:
        """Of all deliveries, oldest first."""
        return [delivery.state for delivery in await self.deliveries()]

    async def outcomes(self, delivery_id: int) -> list[Outcome | None]:
        """Of all attempts of one delivery, oldest first."""
        attempts: list[Attempt] = await self.storage.read(lambda conn: store.attempts(conn, delivery_id))
        return [attempt.outcome for attempt in attempts]


def desk_of(
    storage: Storage,
    clock: ManualClock,
    message: Message,
    *channels: Channel,
    grace: timedelta = timedelta(milliseconds=100),
) -> Desk:
    """A desk that sends by `channels`."""
    woken = asyncio.Event()
    named = {channel.name: channel for channel in channels}
    module = Deliveries(storage, clock, named, woken.set, random.Random(1), grace=grace)
    return Desk(storage=storage, clock=clock, module=module, message=message, woken=woken)


@pytest.fixture
async def desk(
    storage: Storage, clock: ManualClock, message: Message, pager: PagerDutyChannel, poster: SlackChannel
) -> AsyncIterator[Desk]:
    """A desk with PagerDuty, Slack and the log."""
    desk = desk_of(storage, clock, message, pager, poster, LogChannel())
    yield desk
    await desk.module.stop()


async def test_what_waits_is_sent_and_written_down(
    desk: Desk, pagerduty: RecordingPagerDuty, slack: RecordingSlack
) -> None:
    """Each receiver gets its own, and each delivery knows when."""
    await desk.put()
    await desk.put(receiver="headless")
    await desk.put(receiver="log")
    await desk.cycle()
    assert await desk.states() == [DeliveryState.DELIVERED] * 3
    assert pagerduty.pages == ["k"]
    assert len(slack.messages) == 1
    assert {delivery.delivered_at for delivery in await desk.deliveries()} == {desk.clock.now()}


async def test_an_empty_outbox_asks_for_no_time(desk: Desk) -> None:
    """Nothing waits, so nothing is scheduled."""
    assert await desk.module.run(desk.clock.now()) is None
    assert desk.module.in_flight == 0


async def test_the_end_of_a_delivery_wakes_the_engine(desk: Desk) -> None:
    """Whoever is woken finds the delivery no longer in flight."""
    await desk.put()
    await desk.module.run(desk.clock.now())
    assert desk.module.in_flight == 1
    await asyncio.wait_for(desk.woken.wait(), 30)
    assert desk.module.in_flight == 0


async def test_a_resolve_follows_its_trigger(desk: Desk, pagerduty: RecordingPagerDuty) -> None:
    """Put in together, they arrive one after the other."""
    await desk.put()
    await desk.put(Action.RESOLVE)
    await desk.cycle()
    assert pagerduty.incident("k").state is PagerState.OPEN
    await desk.cycle()
    assert pagerduty.incident("k").state is PagerState.RESOLVED


async def test_a_receiver_that_is_down_is_tried_again_later(
    desk: Desk, pagerduty: RecordingPagerDuty
) -> None:
    """Pauses grow, nothing is lost, and the resolve still comes second."""
    for _ in range(5):
        pagerduty.fail_next(503)
    page = await desk.put()
    await desk.put(Action.RESOLVE)
    await desk.drain()
    assert await desk.outcomes(page) == [Outcome.RETRY] * 5 + [Outcome.ACCEPTED]
    actions = [request.body["event_action"] for request in pagerduty.requests]
    assert actions == ["trigger"] * 6 + ["resolve"]


async def test_a_receiver_is_left_alone_for_as_long_as_it_asks(desk: Desk, slack: RecordingSlack) -> None:
    """Not before Retry-After is over."""
    slack.fail_next(429, retry_after=90)
    await desk.put(receiver="headless")
    await desk.cycle()
    desk.clock.advance(seconds=89)
    await desk.cycle()
    assert len(slack.requests) == 1
    desk.clock.advance(seconds=1)
    await desk.cycle()
    assert len(slack.messages) == 1


async def test_a_page_whose_answer_was_lost_is_sent_again_and_rings_once(
    desk: Desk, pagerduty: RecordingPagerDuty
) -> None:
    """The attempt stays without an outcome; the dedup key makes the repeat harmless."""
    pagerduty.drop_next()
    page = await desk.put()
    await desk.drain()
    assert await desk.outcomes(page) == [None, Outcome.ACCEPTED]
    assert await desk.states() == [DeliveryState.DELIVERED]
    assert pagerduty.pages == ["k"]


async def test_a_post_whose_answer_was_lost_is_repeated_and_says_so(
    desk: Desk, slack: RecordingSlack
) -> None:
    """At least once: people may see it twice, and the second tells why."""
    slack.drop_next()
    await desk.put(receiver="headless")
    await desk.drain()
    assert ["may be a repeat" in str(message) for message in slack.messages] == [False, True]


async def test_a_refused_trigger_fails_and_its_resolve_is_cancelled(
    desk: Desk, pagerduty: RecordingPagerDuty
) -> None:
    """Nobody is told that something ended which nobody was told of."""
    pagerduty.fail_next(400)
    await desk.put()
    await desk.put(Action.RESOLVE)
    with structlog.testing.capture_logs() as logs:
        await desk.drain()
    assert await desk.states() == [DeliveryState.FAILED, DeliveryState.CANCELLED]
    assert len(pagerduty.requests) == 1
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["a delivery was given up"]


async def test_after_a_day_without_success_a_delivery_is_given_up(
    desk: Desk, pagerduty: RecordingPagerDuty
) -> None:
    """With a last try at the very end, and an error in the log."""
    start = desk.clock.now()
    pagerduty.fail_next(503, retry_after=3 * 86400)
    pagerduty.fail_next(503)
    await desk.put()
    with structlog.testing.capture_logs() as logs:
        await desk.drain()
    assert desk.clock.now() == start + timedelta(hours=24)
    [delivery] = await desk.deliveries()
    assert delivery.state is DeliveryState.FAILED
    assert str(delivery.error).startswith("given up after 24 h: 503")
    assert "a delivery was given up" in [entry["event"] for entry in logs]


async def test_a_delivery_given_up_after_a_lost_answer_stays_uncertain(
    desk: Desk, pagerduty: RecordingPagerDuty
) -> None:
    """The receiver may have it, so it is not called failed."""
    pagerduty.drop_next()
    pagerduty.fail_next(400)
    await desk.put()
    await desk.drain()
    assert await desk.states() == [DeliveryState.UNCERTAIN]


async def test_a_hanging_receiver_holds_up_no_other_receiver_and_no_other_key(
    desk: Desk, pagerduty: RecordingPagerDuty, slack: RecordingSlack
) -> None:
    """A task for each delivery: the rest goes out while one waits for its answer."""
    pagerduty.hang_next()
    await desk.put(key="stuck")
    await desk.module.run(desk.clock.now())
    await pagerduty.received(1)
    await desk.put(key="other")
    await desk.put(receiver="headless")
    assert await desk.module.run(desk.clock.now()) is None
    await pagerduty.received(2)
    await slack.received(1)
    while desk.module.in_flight > 1:
        desk.woken.clear()
        await asyncio.wait_for(desk.woken.wait(), 30)
    assert await desk.states() == [DeliveryState.LEASED, DeliveryState.DELIVERED, DeliveryState.DELIVERED]
    pagerduty.release()
    await desk.module.tasks.settled()


async def test_a_receiver_that_hangs_takes_only_its_share_of_connections(
    desk: Desk, pagerduty: RecordingPagerDuty
) -> None:
    """What exceeds its slots waits for one of them to end, not for the clock."""
    for number in range(PER_RECEIVER + 1):
        pagerduty.hang_next()
        await desk.put(key=f"k{number}")
    assert await desk.module.run(desk.clock.now()) is None
    assert await desk.module.run(desk.clock.now()) is None
    assert desk.module.in_flight == PER_RECEIVER


async def test_a_broker_that_died_while_it_sent_is_followed_by_one_that_sends_again(
    desk: Desk, pagerduty: RecordingPagerDuty, pager: PagerDutyChannel
) -> None:
    """After the lease: what did arrive rings once, and the first attempt stays without an outcome."""
    pagerduty.hang_next()
    page = await desk.put()
    await desk.module.run(desk.clock.now())
    await pagerduty.received(1)
    await desk.module.stop()
    successor = desk_of(desk.storage, desk.clock, desk.message, pager)
    due = await successor.module.run(desk.clock.now())
    assert due == desk.clock.now() + timedelta(minutes=1)
    desk.clock.move_to(due)
    await successor.cycle()
    assert await successor.outcomes(page) == [None, Outcome.ACCEPTED]
    assert pagerduty.pages == ["k"]


async def test_what_is_being_sent_is_not_sent_twice_when_its_lease_ends(
    desk: Desk, pagerduty: RecordingPagerDuty
) -> None:
    """Time may run faster than the network: the same broker knows that it is still at it."""
    pagerduty.hang_next()
    await desk.put()
    await desk.module.run(desk.clock.now())
    await pagerduty.received(1)
    desk.clock.advance(minutes=2)
    assert await desk.module.run(desk.clock.now()) is None
    assert desk.module.in_flight == 1
    assert len(pagerduty.requests) == 1


async def test_a_stop_lets_an_answer_come_home(
    storage: Storage, clock: ManualClock, message: Message, pager: PagerDutyChannel
) -> None:
    """What was already sent is written down before the broker goes."""
    desk = desk_of(storage, clock, message, pager, grace=timedelta(seconds=30))
    await desk.put()
    await desk.module.run(clock.now())
    await desk.module.stop()
    assert await desk.states() == [DeliveryState.DELIVERED]


async def test_a_stop_does_not_wait_for_a_receiver_that_says_nothing(
    desk: Desk, pagerduty: RecordingPagerDuty
) -> None:
    """It lets go: the delivery stays leased for whoever comes next."""
    pagerduty.hang_next()
    await desk.put()
    await desk.module.run(desk.clock.now())
    await pagerduty.received(1)
    await desk.module.stop()
    assert await desk.states() == [DeliveryState.LEASED]
    assert desk.module.in_flight == 0


async def test_a_message_for_a_receiver_that_is_gone_fails_with_its_reason(desk: Desk) -> None:
    """A renamed receiver leaves no delivery waiting for ever."""
    await desk.put(receiver="renamed")
    with structlog.testing.capture_logs() as logs:
        await desk.cycle()
    [delivery] = await desk.deliveries()
    assert (delivery.state, delivery.error) == (
        DeliveryState.FAILED,
        "receiver 'renamed' is not configured any more",
    )
    assert [entry["log_level"] for entry in logs] == ["error"]


class BrokenChannel:
    """A channel with a mistake in it."""

    name = "broken"
    is_paging = False

    async def send(self, delivery: Delivery) -> Receipt:
        raise ZeroDivisionError


async def test_a_mistake_in_a_channel_is_uncertain_and_does_not_stop_the_others(
    storage: Storage, clock: ManualClock, message: Message
) -> None:
    """It is logged with its traceback, and tried again."""
    desk = desk_of(storage, clock, message, BrokenChannel(), LogChannel())
    broken = await desk.put(receiver="broken")
    await desk.put(receiver="log")
    with structlog.testing.capture_logs() as logs:
        await desk.cycle()
    assert await desk.states() == [DeliveryState.WAITING, DeliveryState.DELIVERED]
    assert await desk.outcomes(broken) == [None]
    assert "a channel failed" in [entry["event"] for entry in logs]
