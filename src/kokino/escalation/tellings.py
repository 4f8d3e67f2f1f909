"""Who was told, and who has taken it: read from the outbox."""

from __future__ import annotations

from collections.abc import Sequence

from kokino.escalation.model import Telling, tier_and_round
from kokino.notify.model import Action, Delivery, DeliveryState
from kokino.notify.settings import Routing


def tellings(deliveries: Sequence[Delivery], routing: Routing) -> tuple[Telling, ...]:
    """Each time that a tier was told, in that order, from an episode's `deliveries`."""
    told: dict[tuple[int, int], list[Delivery]] = {}
    for delivery in sorted(deliveries, key=lambda delivery: delivery.delivery_id):
        place = tier_and_round(delivery.dedup_key)
        if delivery.action is Action.TRIGGER and place is not None:
            told.setdefault(place, []).append(delivery)
    return tuple(_telling(*place, sent, deliveries, routing) for place, sent in told.items())


def to_follow_up(deliveries: Sequence[Delivery], routing: Routing) -> list[tuple[str, str]]:
    """(receiver, dedup key) of what has to hear how it went on.

    A paging receiver keeps each key open until it is told of that key; people who read posts need one.
    """
    triggers = [delivery for delivery in deliveries if delivery.action is Action.TRIGGER]
    ordered = sorted(triggers, key=lambda delivery: delivery.delivery_id)
    pages = [(each.receiver, each.dedup_key) for each in ordered if routing.is_paging(each.receiver)]
    posts = {each.receiver: each.dedup_key for each in ordered if not routing.is_paging(each.receiver)}
    return [*dict.fromkeys(pages), *posts.items()]


def latest_figures(deliveries: Sequence[Delivery]) -> tuple[tuple[str, str], ...]:
    """The lines of what told of an episode last; none where nothing did."""
    triggers = [delivery for delivery in deliveries if delivery.action is Action.TRIGGER]
    latest = max(triggers, key=lambda delivery: delivery.delivery_id, default=None)
    return () if latest is None else latest.message.summary


def _telling(
    tier: int, round: int, sent: Sequence[Delivery], everything: Sequence[Delivery], routing: Routing
) -> Telling:
    at = min(delivery.queued_at for delivery in sent)
    pages = [delivery for delivery in sent if routing.is_paging(delivery.receiver)]
    return Telling(
        tier=tier,
        round=round,
        at=at,
        is_page=bool(pages),
        is_accepted=any(page.state is DeliveryState.DELIVERED for page in pages),
        # A refusal is an answer too: the receiver was reached and did not want it.
        is_network_up=any(page.state is DeliveryState.FAILED for page in pages)
        or any(each.delivered_at is not None and each.delivered_at >= at for each in everything),
    )
