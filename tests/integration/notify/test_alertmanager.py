"""Alerts at an Alertmanager: a real one, and a cluster whose members can be made to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest

from kokino.clock import SystemClock, iso
from kokino.notify.channels.alertmanager import (
    STANDS,
    AlertmanagerChannel,
    HowStands,
    Round,
    Standing,
    Stands,
    alert,
)
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


async def fires(_: Delivery) -> Stands:
    """What every delivery is about fires."""
    return Stands.FIRES


def channel(
    urls: Sequence[str], client: httpx.AsyncClient, *, watchdog: bool = False, stands: HowStands = fires
) -> AlertmanagerChannel:
    """The channel to all of them."""
    return AlertmanagerChannel(
        "prometheus",
        urls=urls,
        takes_watchdog=watchdog,
        client=client,
        clock=SystemClock(),
        stands=stands,
    )


def reads(found: Round) -> Callable[[], Awaitable[Round]]:
    """What the database would tell once it is asked."""

    async def read() -> Round:
        return found

    return read


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
    await way.repeat(reads(Round(fires=[delivery()], watchdogs=[standing])))
    shown = {one["labels"]["alertname"]: one for one in await alertmanager.firing()}
    assert sorted(shown) == ["availability-slo-breach", "watchdog"]
    assert shown["watchdog"]["labels"]["severity"] == "none"
    assert datetime.fromisoformat(shown["watchdog"]["endsAt"]) < SystemClock().now() + timedelta(minutes=5)

    await channel([alertmanager.url], client).repeat(reads(Round(watchdogs=[standing])))
    assert len(await alertmanager.firing()) == 2


async def test_a_real_one_refuses_what_is_no_alert(
    alertmanager: Alertmanager, client: httpx.AsyncClient
) -> None:
    """For good, with its own words."""
    way = channel([f"{alertmanager.url}/nowhere"], client)
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


async def test_an_end_is_said_again_to_every_member(
    cluster: tuple[Member, Member], client: httpx.AsyncClient
) -> None:
    """One that was down would else go on telling people for an hour; so would one told by another broker."""
    first, second = cluster
    await channel([first.url, second.url], client).repeat(reads(Round(ends=[delivery(Action.RESOLVE)])))
    assert (first.ends, second.ends) == ([[True]], [[True]])


@pytest.mark.parametrize("stands", [Stands.OVER, Stands.QUIET])
async def test_what_waited_longer_than_its_alert_fired_is_not_told(
    cluster: tuple[Member, Member], client: httpx.AsyncClient, stands: Stands
) -> None:
    """Another tier's message, tried again by a new broker: its key is another one than the end's."""

    async def now(_: Delivery) -> Stands:
        return stands

    first, _ = cluster
    receipt = await channel([first.url], client, stands=now).send(delivery(tier=1))
    assert receipt.outcome is Outcome.ACCEPTED
    assert receipt.detail.startswith("not sent: it")
    assert first.requests == []


@pytest.mark.parametrize("is_repeat", [False, True])
async def test_nothing_that_fires_comes_after_its_end(
    cluster: tuple[Member, Member], client: httpx.AsyncClient, *, is_repeat: bool
) -> None:
    """The end waits for what is on its way, and what comes behind it asks again."""
    first, _ = cluster
    over = False

    async def now(_: Delivery) -> Stands:
        return Stands.OVER if over else Stands.FIRES

    async def read() -> Round:
        return Round(ends=[delivery(Action.RESOLVE)]) if over else Round(fires=[delivery()])

    way = channel([first.url], client, stands=now)
    first.hang_next()
    sending = asyncio.create_task(way.repeat(read) if is_repeat else _heard(way.send(delivery(tier=1))))
    await first.received(1)
    over = True
    ending = asyncio.create_task(way.send(delivery(Action.RESOLVE)))
    behind = asyncio.create_task(way.repeat(read))
    await asyncio.sleep(0)
    first.release()
    await asyncio.gather(sending, ending, behind)
    assert first.ends == [[False], [True], [True]]


async def _heard(sending: Awaitable[object]) -> None:
    await sending


async def test_a_real_one_forgets_what_is_quiet_and_shows_it_again_afterwards(
    alertmanager: Alertmanager, client: httpx.AsyncClient
) -> None:
    """Since when it fires, not since when it was said."""
    since = NOW - timedelta(minutes=20)
    told = delivery(message=replace(MESSAGE, firing_at=since))
    way = channel([alertmanager.url], client)
    await way.send(told)
    await way.repeat(reads(Round(quiet=[told])))
    quiet = await alertmanager.firing()
    await way.repeat(reads(Round(fires=[told])))
    [shown] = await alertmanager.firing()
    assert quiet == []
    assert datetime.fromisoformat(shown["startsAt"]) == since


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


def test_news_carry_the_figures_that_they_follow() -> None:
    """Of the page before, in its order, with what is new below."""
    news = replace(MESSAGE, summary=(("Acknowledged", "by Ann"),), follows=MESSAGE.summary)
    told = alert(delivery(Action.UPDATE, message=news), NOW)
    assert told["annotations"]["description"] == (
        "Current: 98.2% (target: 99.5%)\nCondition: availability under 99% over 1 h\nAcknowledged: by Ann"
    )
