"""Who was told and who has taken it, from the outbox."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from kokino.escalation.model import dedup_key, tier_and_round
from kokino.escalation.tellings import tellings, to_follow_up
from kokino.notify.model import Action, Delivery, DeliveryState, Message, Severity
from kokino.notify.settings import PagerDutyReceiver, Routing, SlackReceiver

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
ROUTING = Routing(
    receivers={
        "oncall": PagerDutyReceiver(url="https://pager.example", routing_key="key"),
        "slack": SlackReceiver(webhook_url="https://slack.example/hook"),
    },
    owners={},
)
PAGE = Delivery(
    delivery_id=1,
    receiver="oncall",
    action=Action.TRIGGER,
    dedup_key=dedup_key("test", "episode-1", 0, 0),
    message=Message(severity=Severity.P1, title="Breach", source="test"),
    state=DeliveryState.WAITING,
    attempts=0,
    queued_at=T,
    due_at=T,
)
POST = replace(PAGE, delivery_id=2, receiver="slack")


def test_a_key_gives_back_its_tier_and_round() -> None:
    """What was put in comes out, and foreign keys are known as such."""
    assert tier_and_round(dedup_key("a:b", "episode-1", 2, 11)) == (2, 11)
    assert tier_and_round("somebody's own") is None


def test_one_telling_has_all_its_receivers() -> None:
    """A page and a post of one tier are one telling."""
    [telling] = tellings([POST, PAGE], ROUTING)
    assert (telling.tier, telling.round, telling.at) == (0, 0, T)
    assert telling.is_page
    assert not telling.is_accepted


def test_a_post_that_arrived_reached_nobody_but_proves_the_network() -> None:
    """Only what wakes a person counts as having reached someone for a P1."""
    arrived = replace(POST, state=DeliveryState.DELIVERED, delivered_at=T + timedelta(seconds=2))
    [telling] = tellings([PAGE, arrived], ROUTING)
    assert not telling.is_accepted
    assert telling.is_network_up


def test_a_refusal_proves_the_network() -> None:
    """Who answers no was reached."""
    [telling] = tellings([replace(PAGE, state=DeliveryState.FAILED)], ROUTING)
    assert telling.is_network_up


def test_an_answer_from_before_proves_nothing() -> None:
    """The network may have gone since."""
    before = replace(POST, state=DeliveryState.DELIVERED, delivered_at=T - timedelta(seconds=2))
    later = replace(PAGE, delivery_id=3, dedup_key=dedup_key("test", "episode-1", 1, 0))
    assert not tellings([before, later], ROUTING)[-1].is_network_up


def test_every_page_is_followed_up_and_each_channel_once() -> None:
    """A pager keeps each key open; people read one post."""
    second = dedup_key("test", "episode-1", 1, 0)
    told = [
        PAGE,
        POST,
        replace(PAGE, delivery_id=3, dedup_key=second),
        replace(POST, delivery_id=4, dedup_key=second),
    ]
    first = PAGE.dedup_key
    assert to_follow_up(told, ROUTING) == [("oncall", first), ("oncall", second), ("slack", second)]
