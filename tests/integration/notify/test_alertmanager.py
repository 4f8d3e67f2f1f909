"""Alerts at an Alertmanager: a real one, and a cluster whose members can be made to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import httpx
import pytest

from kokino.clock import SystemClock, iso
from kokino.notify.channels.alertmanager import STANDS, AlertmanagerChannel, Standing, alert
from kokino.notify.model import Action, Delivery, DeliveryState, Link, Message, Outcome, Severity
from kokino.testing.http_receiver import HttpReceiver, Request, Response
from tests.fixtures.alertmanager import Alertmanager

NOW = SystemClock().now()
MESSAGE = Message(
    severity=Severity.P1,
    title="Availability SLO breach detected",
    summary=(("Current", "98.2% (target: 99.5%)"), ("Condition", "availability under 99% over 1 h")),
    links=(
        Link(text="Dashboard", url="https://kokino.example/incidents/INC-7"),
        Link(text="Runbook", url="https://kokino.example/playbooks/availability-slo-breach"),
    ),
    source="kokino-1",
    probable_cause="the login of claude-code expired",
    rule="availability-slo-breach",
    owner="@backend-team",
    labels={"cli_type": "claude-code", "odd-name": "x\ny"},
)


def delivery(action: Action = Action.TRIGGER, *, tier: int = 0, message: Message = MESSAGE) -> Delivery:
    """One of the messages about one episode."""
    return Delivery(
        delivery_id=1,
        receiver="prometheus",
        action=action,
        dedup_key=f"kokino-1:episode-1:t{tier}:r0",
        message=message,
        state=DeliveryState.LEASED,
        attempts=1,
        queued_at=NOW,
        due_at=NOW,
        episode_id="episode-1",
    )


class Member(HttpReceiver):
    """One member of a cluster, which can be made to fail."""

    def process(self, request: Request) -> Response:
        assert (request.method, request.path) == ("POST", "/api/v2/alerts")
        return Response(status=200)

    def refusal(self, status: int) -> Response:
        return Response(status=status, content=b"no")

    @property
    def ends(self) -> list[list[bool]]:
        """Of every request, which of its alerts are over."""
        return [["startsAt" not in one for one in request.body] for request in self.requests]


@pytest.fixture
async def cluster() -> AsyncIterator[tuple[Member, Member]]:
    """Two members."""
    async with Member() as first, Member() as second:
        yield first, second


def channel(urls: Sequence[str], client: httpx.AsyncClient, *, watchdog: bool = False) -> AlertmanagerChannel:
    """The channel to all of them."""
    return AlertmanagerChannel(
        "prometheus", urls=urls, takes_watchdog=watchdog, client=client, clock=SystemClock()
    )


async def test_a_real_one_shows_an_alert_until_it_is_over(
    alertmanager: Alertmanager, client: httpx.AsyncClient
) -> None:
    """With its labels, what a person needs to know, and links; another tier's message is the same alert."""
    way = channel([alertmanager.url], client)
    assert (await way.send(delivery())).outcome is Outcome.ACCEPTED
    assert (await way.send(delivery(tier=1))).outcome is Outcome.ACCEPTED
    [shown] = await alertmanager.firing()

    assert (await way.send(delivery(Action.RESOLVE, tier=1))).outcome is Outcome.ACCEPTED
    assert await alertmanager.firing() == []
    assert shown["labels"] == {
        "alertname": "availability-slo-breach",
        "severity": "critical",
        "priority": "P1",
        "owner": "@backend-team",
        "cli_type": "claude-code",
        "odd_name": "x y",
        "kokino_installation": "kokino-1",
        "kokino_episode": "episode-1",
    }
    assert shown["annotations"] == {
        "summary": "P1: Availability SLO breach detected",
        "description": "Current: 98.2% (target: 99.5%)\nCondition: availability under 99% over 1 h",
        "probable_cause": "the login of claude-code expired",
        "runbook_url": "https://kokino.example/playbooks/availability-slo-breach",
    }
    assert shown["generatorURL"] == "https://kokino.example/incidents/INC-7"
    assert shown["status"]["state"] == "active"
    assert datetime.fromisoformat(shown["startsAt"]) == NOW
    assert datetime.fromisoformat(shown["endsAt"]) >= NOW + STANDS


async def test_a_real_one_that_has_forgotten_hears_of_it_again(
    alertmanager: Alertmanager, client: httpx.AsyncClient
) -> None:
    """A repeat alone is enough, and carries the watchdog to who asked for it."""
    way = channel([alertmanager.url], client, watchdog=True)
    standing = Standing(rule_id="watchdog", owner="@ops-team", title="Watchdog", since=NOW, source="kokino-1")
    await way.repeat([delivery()], [standing])
    shown = {one["labels"]["alertname"]: one for one in await alertmanager.firing()}
    assert sorted(shown) == ["availability-slo-breach", "watchdog"]
    assert shown["watchdog"]["labels"]["severity"] == "none"
    assert datetime.fromisoformat(shown["watchdog"]["endsAt"]) < SystemClock().now() + timedelta(minutes=5)

    await channel([alertmanager.url], client).repeat([], [standing])
    assert len(await alertmanager.firing()) == 2


async def test_a_real_one_refuses_what_is_no_alert(
    alertmanager: Alertmanager, client: httpx.AsyncClient
) -> None:
    """For good, with its own words."""
    way = AlertmanagerChannel(
        "x", urls=[f"{alertmanager.url}/nowhere"], takes_watchdog=False, client=client, clock=SystemClock()
    )
    receipt = await way.send(delivery())
    assert receipt.outcome is Outcome.REFUSED
    assert receipt.detail.startswith("404")


async def test_every_member_is_told_and_one_is_enough(
    cluster: tuple[Member, Member], client: httpx.AsyncClient
) -> None:
    """The receipt says who did not take it."""
    first, second = cluster
    way = channel([first.url, second.url], client)
    first.fail_next(503)
    receipt = await way.send(delivery())
    assert (len(first.requests), len(second.requests)) == (1, 1)
    assert (receipt.outcome, receipt.detail) == (Outcome.ACCEPTED, "200; 503: no")


async def test_where_no_member_takes_it_the_best_answer_counts(
    cluster: tuple[Member, Member], client: httpx.AsyncClient
) -> None:
    """One that may have it before one that may later, and that before one that never will."""
    first, second = cluster
    way = channel([first.url, second.url], client)
    first.fail_next(400)
    second.fail_next(503)
    assert (await way.send(delivery())).outcome is Outcome.RETRY
    first.drop_next()
    second.fail_next(503)
    assert (await way.send(delivery())).outcome is Outcome.UNCERTAIN
    first.fail_next(400)
    second.fail_next(400)
    assert (await way.send(delivery())).outcome is Outcome.REFUSED


async def test_a_login_page_is_no_answer(client: httpx.AsyncClient) -> None:
    """A 200 with anything in it is not an Alertmanager's."""

    class Portal(Member):
        """A network's way to say that one has to pay first."""

        def process(self, request: Request) -> Response:
            return Response(status=200, content=b"<html>Welcome")

    async with Portal() as portal:
        receipt = await channel([portal.url], client).send(delivery())
    assert receipt.outcome is Outcome.RETRY


async def test_an_end_is_said_again_to_the_member_that_did_not_hear_it(
    cluster: tuple[Member, Member], client: httpx.AsyncClient
) -> None:
    """Until all have; else it would go on telling people for an hour."""
    first, second = cluster
    way = channel([first.url, second.url], client)
    second.fail_next(503)
    assert (await way.send(delivery(Action.RESOLVE))).outcome is Outcome.ACCEPTED
    second.fail_next(503)
    await way.repeat([])
    await way.repeat([])
    await way.repeat([])
    assert second.ends == [[True], [True], [True]]


async def test_what_is_over_is_not_repeated_nor_told_anew(
    cluster: tuple[Member, Member], client: httpx.AsyncClient
) -> None:
    """By a repeat that was read before the end, or by another tier's message that waited too long."""
    first, _ = cluster
    way = channel([first.url], client)
    first.hang_next()
    ending = asyncio.create_task(way.send(delivery(Action.RESOLVE)))
    await first.received(1)
    repeating = asyncio.create_task(way.repeat([delivery()]))
    first.release()
    await asyncio.gather(ending, repeating)
    assert (await way.send(delivery(tier=1))).detail == "not sent, for its end was"
    assert all(all(request) for request in first.ends)


def test_news_say_what_they_are_about() -> None:
    """An update takes the place of the first message's text, so it brings the condition along."""
    news = Message(
        severity=Severity.P2,
        title="Circuit breaker opened",
        summary=(("Acknowledged", "by Ann"),),
        source="kokino-1",
        details={"reason": "5 failures in a row"},
    )
    told = alert(delivery(Action.ACKNOWLEDGE, message=news), NOW)
    assert told["annotations"]["description"] == "Condition: 5 failures in a row\nAcknowledged: by Ann"
    assert told["endsAt"] == iso(NOW + STANDS)
    assert told["labels"]["severity"] == "warning"
