"""Slack by incoming webhook.

Source of the form and its limits: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
and https://docs.slack.dev/reference/block-kit/blocks. A webhook knows no dedup key and returns no id, so an
attempt whose answer was lost is repeated and may be seen twice: at least once, and a repeat says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import httpx

from kokino.clock import Clock
from kokino.notify.channels.http import Answer, post, said
from kokino.notify.model import Delivery, Link, Message, Outcome, Receipt
from kokino.notify.text import heading, plain

#: Characters that Slack takes in a header and in the text of a section.
LONGEST_HEADER = 150
LONGEST_SECTION = 3000
#: Our own bound for one line, so that a long one leaves room for the others.
LONGEST_LINE = 600

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
#: Characters that would end a link's address early, or begin another control sequence.
_IN_ADDRESS = str.maketrans({"<": "%3C", ">": "%3E", "|": "%7C", " ": "%20", "&": "&amp;"})


class SlackChannel:
    """Posts to the channel that one webhook belongs to."""

    is_paging: ClassVar[bool] = False

    def __init__(self, name: str, *, webhook_url: str, client: httpx.AsyncClient, clock: Clock) -> None:
        self.name = name
        self._url = webhook_url
        self._client = client
        self._clock = clock

    async def send(self, delivery: Delivery) -> Receipt:
        return await post(
            self._client,
            self._url,
            payload(delivery),
            clock=self._clock,
            secrets=[self._url, httpx.URL(self._url).path],
            accept=read_answer,
        )


def payload(delivery: Delivery) -> dict[str, Any]:
    """The request's body: blocks, and a text for notifications and screen readers."""
    message = delivery.message
    title = escaped(heading(delivery.action, message), LONGEST_HEADER)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": True}}
    ]
    if facts := _fitting(_facts(message), LONGEST_SECTION):
        blocks.append({"type": "section", "text": _mrkdwn(facts)})
    blocks.append({"type": "context", "elements": [_mrkdwn(_footer(delivery))]})
    fallback = _fitting([title, *_plain_facts(message)], LONGEST_SECTION)
    return {"text": fallback, "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def read_answer(answer: Answer) -> Receipt:
    """Any 2xx is taken: people would see a repeat, and Slack's look-alikes word their yes differently."""
    return Receipt(outcome=Outcome.ACCEPTED, detail=said(answer))


def escaped(text: str, limit: int = LONGEST_LINE) -> str:
    """`text` as Slack shows it literally, in at most `limit` characters and never cut inside an escape.

    Without ``<`` nothing in it can be a mention, a link or a command (``<!channel>``).
    """
    parts = [_ESCAPES.get(char, char) for char in plain(text)]
    if sum(map(len, parts)) <= limit:
        return "".join(parts)
    kept: list[str] = []
    room = limit - 1
    for part in parts:
        if len(part) > room:
            break
        kept.append(part)
        room -= len(part)
    return "".join(kept) + "…"


def _facts(message: Message) -> Iterable[str]:
    for label, text in message.summary:
        yield f"*{escaped(label)}:* {escaped(text)}"
    if message.probable_cause:
        yield f"*Probable cause:* {escaped(message.probable_cause)}"
    if message.links:
        yield " · ".join(_link(link) for link in message.links)


def _plain_facts(message: Message) -> Iterable[str]:
    """What there is to know, for a telephone's lock screen: without it nobody would see what is new."""
    yield from (f"{escaped(label)}: {escaped(text)}" for label, text in message.summary)
    if message.probable_cause:
        yield f"Probable cause: {escaped(message.probable_cause)}"


def _fitting(lines: Iterable[str], limit: int) -> str:
    """As many whole lines as fit: cutting inside one could cut a link or an escape."""
    kept: list[str] = []
    room = limit
    for line in lines:
        if len(line) + 1 <= room:
            kept.append(line)
            room -= len(line) + 1
    return "\n".join(kept)


def _link(link: Link) -> str:
    return f"<{plain(link.url).translate(_IN_ADDRESS)}|{escaped(link.text)}>"


def _footer(delivery: Delivery) -> str:
    said_by = f"{escaped(delivery.message.source)} · delivery {delivery.delivery_id}"
    return f"{said_by} · may be a repeat: an earlier answer was lost" if delivery.is_uncertain else said_by


def _mrkdwn(text: str) -> dict[str, Any]:
    # verbatim: Slack links and mentions nothing that we did not mark up as such.
    return {"type": "mrkdwn", "text": text, "verbatim": True}
