"""One attempt over real HTTP: what each answer, and each silence, is taken to mean."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest

from kokino.notify.channels import PagerDutyChannel, SlackChannel
from kokino.notify.channels import http as attempts
from kokino.notify.model import Action, Delivery, DeliveryState, Message, Outcome
from kokino.testing.clock import ManualClock
from kokino.testing.http_receiver import HttpReceiver, Request, Response
from kokino.testing.receivers import ROUTING_KEY, PagerState, RecordingPagerDuty, RecordingSlack


@pytest.fixture
def delivery(message: Message, clock: ManualClock) -> Delivery:
    """A page as it is handed to a channel."""
    return Delivery(
        delivery_id=17,
        receiver="oncall",
        action=Action.TRIGGER,
        dedup_key="inst:episode:t0:r0",
        message=message,
        state=DeliveryState.LEASED,
        attempts=1,
        queued_at=clock.now(),
        due_at=clock.now(),
    )


async def test_a_page_opens_an_incident(
    pager: PagerDutyChannel, pagerduty: RecordingPagerDuty, delivery: Delivery
) -> None:
    """PagerDuty's word that it has the event is acceptance, with its key as the reference."""
    receipt = await pager.send(delivery)
    assert (receipt.outcome, receipt.reference) == (Outcome.ACCEPTED, "inst:episode:t0:r0")
    assert pagerduty.incident("inst:episode:t0:r0").severity == "critical"


async def test_acknowledge_and_resolve_move_the_same_incident(
    pager: PagerDutyChannel, pagerduty: RecordingPagerDuty, delivery: Delivery
) -> None:
    """The dedup key and the routing key tie them together."""
    states = []
    for action in (Action.TRIGGER, Action.ACKNOWLEDGE, Action.RESOLVE):
        await pager.send(replace(delivery, action=action))
        states.append(pagerduty.incident(delivery.dedup_key).state)
    assert states == [PagerState.OPEN, PagerState.ACKNOWLEDGED, PagerState.RESOLVED]


async def test_pagerduty_is_not_asked_for_what_it_cannot_do(
    pager: PagerDutyChannel, pagerduty: RecordingPagerDuty, delivery: Delivery
) -> None:
    """An update would open a new incident if the old one were resolved: it is refused here."""
    receipt = await pager.send(replace(delivery, action=Action.UPDATE))
    assert receipt.outcome is Outcome.REFUSED
    assert pagerduty.requests == []


async def test_a_post_reaches_the_channel(
    poster: SlackChannel, slack: RecordingSlack, delivery: Delivery
) -> None:
    """Slack's ok is acceptance."""
    receipt = await poster.send(delivery)
    assert receipt.outcome is Outcome.ACCEPTED
    assert "Availability SLO breach detected" in slack.messages[0]["text"]


async def test_slack_takes_the_largest_and_the_most_hostile_message(
    poster: SlackChannel, slack: RecordingSlack, delivery: Delivery
) -> None:
    """Whatever an agent said, the post stays inside Slack's limits and mentions nobody."""
    hostile = "<!channel> & <https://evil.example|Dashboard>\n\ud800*x*" * 500
    message = replace(
        delivery.message,
        title=hostile,
        summary=tuple((hostile, hostile) for _ in range(20)),
        probable_cause=hostile,
    )
    receipt = await poster.send(replace(delivery, message=message))
    assert receipt.outcome is Outcome.ACCEPTED
    assert "<!channel>" not in str(slack.messages)
    assert "<https://evil" not in str(slack.messages)


async def test_pagerduty_takes_the_largest_and_the_most_hostile_message(
    pager: PagerDutyChannel, pagerduty: RecordingPagerDuty, delivery: Delivery
) -> None:
    """A summary is cut to its limit, and details too large for an event are left out."""
    message = replace(
        delivery.message, title="t\ud800" * 4000, probable_cause="\ud800", details={"log": "x" * 600_000}
    )
    receipt = await pager.send(replace(delivery, message=message))
    assert receipt.outcome is Outcome.ACCEPTED
    assert len(pagerduty.incident(delivery.dedup_key).summary) == 1024
    assert "left out" in pagerduty.requests[0].body["payload"]["custom_details"]["note"]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        pytest.param(400, Outcome.REFUSED, id="a wrong request is wrong for ever"),
        pytest.param(403, Outcome.REFUSED, id="so is one that is not allowed"),
        pytest.param(404, Outcome.REFUSED, id="and one to nowhere"),
        pytest.param(308, Outcome.REFUSED, id="a redirect is not followed with a secret"),
        pytest.param(408, Outcome.RETRY, id="a request that came too slowly may come faster"),
        pytest.param(429, Outcome.RETRY, id="too many become fewer"),
        pytest.param(500, Outcome.RETRY, id="an error of the server's may pass"),
        pytest.param(503, Outcome.RETRY, id="so may its absence"),
    ],
)
async def test_a_status_decides_whether_another_attempt_makes_sense(
    *,
    pager: PagerDutyChannel,
    poster: SlackChannel,
    pagerduty: RecordingPagerDuty,
    slack: RecordingSlack,
    delivery: Delivery,
    status: int,
    outcome: Outcome,
) -> None:
    """4xx but 408 and 429 is permanent, 5xx is not, for either channel."""
    pagerduty.fail_next(status)
    slack.fail_next(status)
    receipts = [await pager.send(delivery), await poster.send(delivery)]
    assert [receipt.outcome for receipt in receipts] == [outcome, outcome]
    assert all(receipt.detail.startswith(str(status)) for receipt in receipts)


async def test_retry_after_is_carried_home(
    poster: SlackChannel, slack: RecordingSlack, delivery: Delivery
) -> None:
    """A receiver that says when to come back is heard."""
    slack.fail_next(429, retry_after=30)
    assert (await poster.send(delivery)).retry_after == timedelta(seconds=30)


async def test_a_retry_after_date_is_measured_from_our_clock_where_the_receiver_tells_no_time(
    poster: SlackChannel, slack: RecordingSlack, delivery: Delivery, clock: ManualClock
) -> None:
    """A date becomes a length."""
    later: datetime = clock.now() + timedelta(minutes=2)
    slack.fail_next(503, retry_after=later.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    assert (await poster.send(delivery)).retry_after == timedelta(minutes=2)


async def test_a_refusal_asks_for_no_time(
    poster: SlackChannel, slack: RecordingSlack, delivery: Delivery
) -> None:
    """Retry-After beside a permanent answer means nothing."""
    slack.fail_next(400, retry_after=30)
    assert (await poster.send(delivery)).retry_after is None


async def test_no_connection_means_that_nothing_was_sent(
    client: httpx.AsyncClient, clock: ManualClock, delivery: Delivery
) -> None:
    """A closed port is a retry, certain not to have arrived."""
    async with RecordingPagerDuty() as gone:
        url = gone.url
    channel = PagerDutyChannel("oncall", url=url, routing_key=ROUTING_KEY, client=client, clock=clock)
    receipt = await channel.send(delivery)
    assert receipt.outcome is Outcome.RETRY
    assert receipt.detail.startswith("could not connect")


@pytest.mark.parametrize("is_processed", [True, False])
async def test_a_connection_that_closes_without_an_answer_is_uncertain(
    pager: PagerDutyChannel, pagerduty: RecordingPagerDuty, delivery: Delivery, *, is_processed: bool
) -> None:
    """From here, an event that was taken and one that was lost look the same."""
    pagerduty.drop_next(is_processed=is_processed)
    receipt = await pager.send(delivery)
    assert receipt.outcome is Outcome.UNCERTAIN
    assert len(pagerduty.incidents) == int(is_processed)


@pytest.mark.parametrize("limit", ["TIMEOUTS", "DEADLINE"])
async def test_a_silent_receiver_is_uncertain(
    monkeypatch: pytest.MonkeyPatch,
    clock: ManualClock,
    pagerduty: RecordingPagerDuty,
    delivery: Delivery,
    limit: str,
) -> None:
    """After the time for an answer, or for the whole attempt, nobody knows what became of the event."""
    monkeypatch.setattr(attempts, limit, httpx.Timeout(5, read=0.05) if limit == "TIMEOUTS" else 1.0)
    pagerduty.hang_next()
    async with attempts.open_client() as client:
        channel = PagerDutyChannel(
            "oncall", url=pagerduty.url, routing_key=ROUTING_KEY, client=client, clock=clock
        )
        receipt = await channel.send(delivery)
        await pagerduty.received(1)
    assert receipt.outcome is Outcome.UNCERTAIN
    assert pagerduty.pages == [delivery.dedup_key]


class Stranger(HttpReceiver):
    """Something between us and the receiver that answers 200 to everything, and repeats what it was sent."""

    def process(self, request: Request) -> Response:
        return Response(
            status=200, content=b"<html>Please log in " + request.content + b"</html>" + b"x" * 100_000
        )

    def refusal(self, status: int) -> Response:
        return Response(status=status, content=b"You sent " + ROUTING_KEY.encode())


async def test_a_strangers_200_does_not_count_as_a_page(
    client: httpx.AsyncClient, clock: ManualClock, delivery: Delivery
) -> None:
    """Only PagerDuty's own words are acceptance: a login page of a network is not."""
    async with Stranger() as stranger:
        channel = PagerDutyChannel(
            "oncall", url=stranger.url, routing_key=ROUTING_KEY, client=client, clock=clock
        )
        receipt = await channel.send(delivery)
    assert receipt.outcome is Outcome.RETRY
    assert len(receipt.detail) < 500


async def test_no_secret_comes_home_in_a_receipt(
    client: httpx.AsyncClient, clock: ManualClock, delivery: Delivery
) -> None:
    """A receiver that repeats the routing key does not get it into our database or log."""
    async with Stranger() as stranger:
        stranger.fail_next(400)
        channel = PagerDutyChannel(
            "oncall", url=stranger.url, routing_key=ROUTING_KEY, client=client, clock=clock
        )
        receipts = [await channel.send(delivery), await channel.send(delivery)]
    assert receipts[0].detail == "400: You sent [secret]"
    assert ROUTING_KEY not in str(receipts)


async def test_a_cancelled_attempt_ends_at_once(
    pager: PagerDutyChannel, pagerduty: RecordingPagerDuty, delivery: Delivery
) -> None:
    """A stop is not held up by a receiver that says nothing."""
    pagerduty.hang_next()
    sending = asyncio.create_task(pager.send(delivery))
    await pagerduty.received(1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
