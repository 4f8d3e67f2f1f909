"""PagerDuty by its Events API v2.

Source of the form, the limits and the meaning of answers: https://developer.pagerduty.com/docs/events-api-v2/
(overview and "Send an Alert Event"). A repeat is safe: the dedup key makes it a line in the same alert's log.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

import httpx

from kokino.clock import Clock, iso
from kokino.notify.channels.http import Answer, post, said
from kokino.notify.model import Action, Delivery, Message, Outcome, Reason, Receipt, Severity
from kokino.notify.text import plain, shortened

#: Characters of ``payload.summary`` that PagerDuty takes.
LONGEST_SUMMARY = 1024
#: Its limit is 512 KB for the whole event; what would come near it goes without details.
LARGEST_DETAILS = 400_000

SEVERITIES = {Severity.P1: "critical", Severity.P2: "error", Severity.P3: "warning"}
_EVENTS = frozenset({Action.TRIGGER, Action.ACKNOWLEDGE, Action.RESOLVE})


class PagerDutyChannel:
    """Pages through one PagerDuty service."""

    is_paging: ClassVar[bool] = True

    def __init__(
        self, name: str, *, url: str, routing_key: str, client: httpx.AsyncClient, clock: Clock
    ) -> None:
        self.name = name
        self._url = f"{url.rstrip('/')}/v2/enqueue"
        self._routing_key = routing_key
        self._client = client
        self._clock = clock

    async def send(self, delivery: Delivery) -> Receipt:
        if delivery.action not in _EVENTS:
            detail = f"PagerDuty knows no {delivery.action.value}: send it to a receiver that posts"
            return Receipt(outcome=Outcome.REFUSED, detail=detail)
        return await post(
            self._client,
            self._url,
            event(delivery, self._routing_key),
            clock=self._clock,
            secrets=[self._routing_key],
            accept=read_answer,
        )


def event(delivery: Delivery, routing_key: str) -> dict[str, Any]:
    """The request's body."""
    named = {
        "routing_key": routing_key,
        "event_action": delivery.action.value,
        "dedup_key": delivery.dedup_key,
    }
    if delivery.action is not Action.TRIGGER:
        return named
    message = delivery.message
    links = [{"href": link.url, "text": plain(link.text)} for link in message.links]
    return {
        **named,
        "payload": _payload(delivery),
        "links": links,
        "client": "Kokino",
        **({"client_url": links[0]["href"]} if links else {}),
    }


def read_answer(answer: Answer) -> Receipt:
    """What a 2xx means: accepted only with PagerDuty's own words, for a proxy's login page is a 200 too."""
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or body.get("status") != "success":
        detail = f"no answer of PagerDuty's: {said(answer)}"
        return Receipt(outcome=Outcome.RETRY, detail=detail, reason=Reason.WRONG_ANSWER)
    reference = body.get("dedup_key")
    return Receipt(
        outcome=Outcome.ACCEPTED,
        detail=said(answer),
        reference=plain(reference) if isinstance(reference, str) else None,
    )


def _payload(delivery: Delivery) -> dict[str, Any]:
    message = delivery.message
    optional = {"component": message.component, "group": message.group, "class": message.rule}
    return {
        "summary": shortened(plain(message.headline), LONGEST_SUMMARY),
        "source": message.source,
        "severity": SEVERITIES[message.severity],
        "timestamp": iso(delivery.queued_at),
        **{name: value for name, value in optional.items() if value},
        "custom_details": _details(message),
    }


def _details(message: Message) -> dict[str, Any]:
    details: dict[str, Any] = dict(message.summary)
    if message.probable_cause:
        details["Probable cause"] = message.probable_cause
    details |= message.details
    size = len(json.dumps(details, ensure_ascii=False).encode("utf-8", "replace"))
    return (
        details
        if size <= LARGEST_DETAILS
        else {"note": f"{size} bytes of details are left out; see the links"}
    )
