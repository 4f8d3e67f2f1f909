"""What is sent, before it is sent: hostile text in each channel's own form."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.notify.channels import pagerduty, slack
from kokino.notify.model import Action, Delivery, DeliveryState, Link, Message, Severity
from kokino.notify.text import plain

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MESSAGE = Message(severity=Severity.P1, title="Availability SLO breach detected", source="kokino")
DELIVERY = Delivery(
    delivery_id=17,
    receiver="r",
    action=Action.TRIGGER,
    dedup_key="k",
    message=MESSAGE,
    state=DeliveryState.LEASED,
    attempts=1,
    queued_at=T,
    due_at=T,
)


@given(text=st.text(), limit=st.integers(min_value=1, max_value=200))
def test_escaped_text_is_what_slack_shows_and_never_markup(text: str, limit: int) -> None:
    """Unescaped again it is the plain text, or its beginning; no control character of Slack's is left."""
    escaped = slack.escaped(text, limit)
    shown = html.unescape(escaped)
    assert len(escaped) <= limit
    assert "<" not in escaped
    assert shown == plain(text) or plain(text).startswith(shown.removesuffix("…"))


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("http://h/a?b=1&c=2", "<http://h/a?b=1&amp;c=2|Dashboard>"),
        ("http://h/>|<!channel>", "<http://h/%3E%7C%3C!channel%3E|Dashboard>"),
        ("http://h/a b\nc", "<http://h/a%20b%20c|Dashboard>"),
    ],
)
def test_a_link_cannot_end_early(url: str, written: str) -> None:
    """An id in an address may hold what would close the link."""
    message = replace(MESSAGE, links=(Link(text="Dashboard", url=url),))
    [section] = [
        b for b in slack.payload(replace(DELIVERY, message=message))["blocks"] if b["type"] == "section"
    ]
    assert section["text"]["text"] == written


def test_slack_interprets_nothing_that_we_did_not_mark_up() -> None:
    """A bare address or a name in a text stays text."""
    message = replace(MESSAGE, probable_cause="see http://evil or ask @here")
    blocks = slack.payload(replace(DELIVERY, message=message))["blocks"]
    texts = [block["text"] for block in blocks if block["type"] == "section"]
    assert all(text["verbatim"] is True for text in texts)
    assert slack.payload(DELIVERY)["unfurl_links"] is False


def test_a_lock_screen_shows_what_is_new() -> None:
    """Not the title alone, which is that of the page before; escaped, and without links."""
    told = (("Also firing", "Breaker (agent <b>)"), ("Incident", "INC-7"))
    message = replace(MESSAGE, summary=told, links=(Link(text="Dashboard", url="http://h"),))
    assert slack.payload(replace(DELIVERY, action=Action.UPDATE, message=message))["text"].splitlines() == [
        "🔁 Update: P1: Availability SLO breach detected",
        "Also firing: Breaker (agent &lt;b&gt;)",
        "Incident: INC-7",
    ]


def test_a_repeat_in_slack_says_that_it_may_be_one() -> None:
    """A webhook cannot be asked whether the first one arrived."""
    assert "may be a repeat" in json.dumps(slack.payload(replace(DELIVERY, is_uncertain=True)))
    assert "may be a repeat" not in json.dumps(slack.payload(DELIVERY))


@pytest.mark.parametrize(
    ("severity", "word"), [(Severity.P1, "critical"), (Severity.P2, "error"), (Severity.P3, "warning")]
)
def test_severities_are_pagerdutys(severity: Severity, word: str) -> None:
    """P1 critical, P2 error, P3 warning."""
    event = pagerduty.event(replace(DELIVERY, message=replace(MESSAGE, severity=severity)), "key")
    assert event["payload"]["severity"] == word


@pytest.mark.parametrize("action", [Action.ACKNOWLEDGE, Action.RESOLVE])
def test_what_follows_a_page_names_it_and_nothing_else(action: Action) -> None:
    """The same routing and dedup key; a payload would be ignored."""
    assert pagerduty.event(replace(DELIVERY, action=action), "key") == {
        "routing_key": "key",
        "event_action": action.value,
        "dedup_key": "k",
    }
