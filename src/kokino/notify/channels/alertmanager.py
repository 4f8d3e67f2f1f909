"""Prometheus Alertmanager by its API v2.

Source of the form and of how alerts are merged: https://github.com/prometheus/alertmanager,
api/v2/openapi.yaml and types/types.go. An alert is known by its labels, so a repeat is safe: it still fires.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar

import httpx
import structlog

from kokino.clock import Clock, iso
from kokino.ids import label_name
from kokino.notify.channels.http import Answer, post, said
from kokino.notify.model import Action, Delivery, Message, Outcome, Reason, Receipt, Severity
from kokino.notify.text import RUNBOOK, plain

log = structlog.get_logger(__name__)

#: Without an end an Alertmanager forgets an alert that is not repeated for 5 minutes, and tells people that
#: it is over; and it keeps alerts in memory alone. So each one is sent again every minute, for the sake of an
#: Alertmanager that was restarted, and with an end far ahead, for the sake of a broker that is: one that is
#: back within the hour has ended nothing.
STANDS = timedelta(hours=1)
#: A dead man's switch must do the contrary: it is over when the broker has missed three turns.
WATCHDOG_STANDS = timedelta(minutes=3)
#: An end that lies ahead by the receiver's clock is none, and the hour above would count on. So what ended,
#: ended a minute ago: clocks that are kept at all differ by less.
SKEW = timedelta(minutes=1)

#: The words that routes of Alertmanager commonly ask for.
SEVERITIES = {Severity.P1: "critical", Severity.P2: "warning", Severity.P3: "info"}
#: The label by which an installation knows its own alerts when they come back to it.
INSTALLATION = "kokino_installation"
#: The best of several members' answers is what the cluster has answered.
_BEST_FIRST = (Outcome.ACCEPTED, Outcome.UNCERTAIN, Outcome.RETRY, Outcome.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An alert that fires and disturbs nobody: its being there is the message."""

    rule_id: str
    owner: str
    title: str
    since: datetime
    #: Which installation says so.
    source: str


class Stands(StrEnum):
    """How what a delivery is about stands now, whatever it was when the delivery was queued."""

    FIRES = "fires"
    #: It fires, and is silenced or inhibited.
    QUIET = "quiet"
    #: Its end is on its way, or there.
    OVER = "over"


_WHY_UNSENT = {Stands.QUIET: "it is kept quiet", Stands.OVER: "its end is on its way, or there"}
#: Asks the database. What is asked before a request and not beside another one stays true for the request.
HowStands = Callable[[Delivery], Awaitable[Stands]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What there is to be said again."""

    #: The latest message of each alert that fires.
    fires: Sequence[Delivery] = ()
    #: The same of what fires and is kept quiet: to this receiver it is over for now.
    quiet: Sequence[Delivery] = ()
    #: The ends of as long as an earlier word may stand.
    ends: Sequence[Delivery] = ()
    watchdogs: Sequence[Standing] = ()


class AlertmanagerChannel:
    """Tells every member of a cluster; delivered when one of them has it.

    Members tell each other of silences and of what they have sent, but not of alerts.
    """

    is_paging: ClassVar[bool] = False

    def __init__(
        self,
        name: str,
        *,
        urls: Sequence[str],
        takes_watchdog: bool,
        client: httpx.AsyncClient,
        clock: Clock,
        stands: HowStands,
    ) -> None:
        self.name = name
        #: It hears of alerts that disturb nobody too.
        self.takes_watchdog = takes_watchdog
        self._urls = tuple(f"{url.rstrip('/')}/api/v2/alerts" for url in urls)
        self._client = client
        self._clock = clock
        self._stands = stands
        #: One request at a time: of two on their way the one that says "over" might come first, and what is
        #: over would fire for another hour.
        self._turn = asyncio.Lock()
        self._fault: str | None = None

    async def send(self, delivery: Delivery) -> Receipt:
        if delivery.action is not Action.RESOLVE and _came_from_one(delivery):
            return _unsent("it came from an Alertmanager")
        async with self._turn:
            if delivery.action is not Action.RESOLVE:
                stands = await self._stands(delivery)
                if stands is not Stands.FIRES:
                    return _unsent(_WHY_UNSENT[stands])
            return together(await self._tell([alert(delivery, self._clock.now())]))

    async def repeat(self, read: Callable[[], Awaitable[Round]]) -> None:
        """Say again what fires, and what is over, as it is read once nothing else is on its way."""
        async with self._turn:
            round, now = await read(), self._clock.now()
            over = [*((each, each.queued_at) for each in round.ends), *((each, now) for each in round.quiet)]
            body = [
                *(alert(each, now) for each in round.fires if not _came_from_one(each)),
                *(ended(each, min(at, now)) for each, at in over if not _came_from_one(each)),
                *(watchdog(one, now) for one in round.watchdogs if self.takes_watchdog),
            ]
            if body:
                self._note(await self._tell(body))

    async def _tell(self, alerts: Sequence[Mapping[str, Any]]) -> list[Receipt]:
        return await asyncio.gather(*(self._post(url, alerts) for url in self._urls))

    async def _post(self, url: str, alerts: Sequence[Mapping[str, Any]]) -> Receipt:
        password = httpx.URL(url).password
        return await post(
            self._client,
            url,
            alerts,
            clock=self._clock,
            secrets=[password] if password else [],
            accept=read_answer,
        )

    def _note(self, receipts: Sequence[Receipt]) -> None:
        missing = [each.detail for each in receipts if each.outcome is not Outcome.ACCEPTED]
        fault = "; ".join(missing) or None
        if fault != self._fault:  # once per change: it is repeated each minute
            (log.warning if fault else log.info)("repeating alerts", receiver=self.name, fault=fault)
        self._fault = fault


def alert(delivery: Delivery, now: datetime) -> dict[str, Any]:
    """One alert of the request's body: firing for a while from `now` on, or over."""
    if delivery.action is Action.RESOLVE:
        return ended(delivery, min(delivery.queued_at, now))
    since = delivery.message.firing_at or delivery.queued_at
    return {**_named(delivery), "startsAt": iso(since), "endsAt": iso(now + STANDS)}


def ended(delivery: Delivery, at: datetime) -> dict[str, Any]:
    """The same of one that is over; without a start, which an Alertmanager takes from what it knows."""
    return {**_named(delivery), "endsAt": iso(at - SKEW)}


def watchdog(standing: Standing, now: datetime) -> dict[str, Any]:
    """The same of an alert that disturbs nobody."""
    return {
        "labels": {
            "alertname": standing.rule_id,
            "severity": "none",
            "owner": standing.owner,
            INSTALLATION: standing.source,
        },
        "annotations": {"summary": standing.title},
        "startsAt": iso(standing.since),
        "endsAt": iso(now + WATCHDOG_STANDS),
    }


def labels(delivery: Delivery) -> dict[str, str]:
    """What an Alertmanager knows the alert by: the same for all that is sent of one episode."""
    message = delivery.message
    ours = {
        "alertname": message.rule or message.title,
        "severity": SEVERITIES[message.severity],
        "priority": message.severity.value,
        "owner": message.owner or "",
        INSTALLATION: message.source,
        "kokino_episode": _episode(delivery),
    }
    given = {name: value for name, value in ours.items() if value}
    own = {name: text for name, value in message.labels.items() if (text := plain(value))}
    return {**_beside(given, own), **given}


def _beside(given: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """An alert's own labels by names that are valid and free: as Prometheus has it, ``exported_``.

    The order does not depend on that in which they came: by these names the alert is known again.
    """
    found: dict[str, str] = {}
    for name in sorted(own, key=lambda one: (label_name(one) != one, one)):
        free = label_name(name)
        while {**given, **found}.get(free, own[name]) != own[name]:
            free = f"exported_{free}"
        found[free] = own[name]
    return found


def read_answer(answer: Answer) -> Receipt:
    """What a 2xx means: an Alertmanager says nothing more, a network's login page does."""
    if answer.body.strip():
        detail = f"no answer of an Alertmanager's: {said(answer)}"
        return Receipt(outcome=Outcome.RETRY, detail=detail, reason=Reason.WRONG_ANSWER)
    return Receipt(outcome=Outcome.ACCEPTED, detail=said(answer))


def together(receipts: Sequence[Receipt]) -> Receipt:
    """What a cluster has answered, with what those said who did not take it."""
    best = min(receipts, key=lambda each: _BEST_FIRST.index(each.outcome))
    others = [each.detail for each in receipts if each is not best and each.outcome is not Outcome.ACCEPTED]
    detail = "; ".join([best.detail, *others])
    return Receipt(outcome=best.outcome, detail=detail, retry_after=best.retry_after, reason=best.reason)


def _unsent(why: str) -> Receipt:
    return Receipt(outcome=Outcome.ACCEPTED, detail=f"not sent: {why}")


def _came_from_one(delivery: Delivery) -> bool:
    """True for another installation's alert that an Alertmanager has told us of.

    Two that each send to an Alertmanager what it tells them of would go on for ever, with new labels each
    time. Our own alerts are not taken when they come back.
    """
    return INSTALLATION in delivery.message.labels


def _episode(delivery: Delivery) -> str:
    return delivery.episode_id or delivery.dedup_key


def _named(delivery: Delivery) -> dict[str, Any]:
    annotations = dict(_annotations(delivery))
    return {"labels": labels(delivery), "annotations": annotations, **_link(delivery.message)}


def _annotations(delivery: Delivery) -> Iterator[tuple[str, str]]:
    message = delivery.message
    yield "summary", plain(message.headline)
    # This text takes the place of the one before, so it says again what that one said.
    lines = dict([*message.follows, *message.summary])
    if "Condition" not in lines and (reason := message.details.get("reason")):
        lines = {"Condition": str(reason), **lines}  # news alone would not say what it is about
    yield "description", "\n".join(f"{plain(label)}: {plain(text)}" for label, text in lines.items())
    if message.probable_cause:
        yield "probable_cause", plain(message.probable_cause)
    yield from (("runbook_url", link.url) for link in message.links if link.text == RUNBOOK)


def _link(message: Message) -> dict[str, str]:
    return {"generatorURL": message.links[0].url} if message.links else {}
