"""The recording receivers mean what PagerDuty and Slack mean: what all other tests of paging stand on."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from kokino.testing.receivers import ROUTING_KEY, PagerState, RecordingPagerDuty, RecordingSlack


def event(action: str, key: str = "k", **changes: Any) -> dict[str, Any]:
    """An event that PagerDuty takes, but for `changes`."""
    payload = {"summary": "it broke", "source": "kokino", "severity": "critical"}
    base = {"routing_key": ROUTING_KEY, "event_action": action, "dedup_key": key}
    return base | ({"payload": payload} if action == "trigger" else {}) | changes


async def enqueue(client: httpx.AsyncClient, receiver: RecordingPagerDuty, body: Any) -> httpx.Response:
    """Send it."""
    return await client.post(f"{receiver.url}/v2/enqueue", json=body)


async def test_an_event_is_answered_as_pagerduty_does(
    client: httpx.AsyncClient, pagerduty: RecordingPagerDuty
) -> None:
    """An accepted event is a 202 with its dedup key."""
    answer = await enqueue(client, pagerduty, event("trigger"))
    assert answer.status_code == 202
    assert answer.json() == {"status": "success", "message": "Event processed", "dedup_key": "k"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(["no", "object"], "the event is no JSON object", id="no object"),
        pytest.param(event("trigger", routing_key=""), "'routing_key' is missing or blank", id="no key"),
        pytest.param(
            event("trigger", routing_key="short"),
            "Length of 'routing_key' is incorrect (should be 32 characters)",
            id="a key of another length",
        ),
        pytest.param(event("trigger", key="k" * 256), "'dedup_key' is too long", id="a long dedup key"),
        pytest.param(event("update"), "'event_action' is invalid", id="an action that there is not"),
        pytest.param(event("trigger", payload=None), "'payload' is missing", id="no payload"),
        pytest.param(
            event("trigger", payload={"summary": "s" * 1025, "source": "a", "severity": "critical"}),
            "'summary' is too long",
            id="a long summary",
        ),
        pytest.param(
            event("trigger", payload={"summary": "s", "source": "a", "severity": "P1"}),
            "'severity' is invalid",
            id="a severity that there is not",
        ),
        pytest.param(event("resolve", key=""), "'dedup_key' is missing or blank", id="a resolve of nothing"),
        pytest.param(
            event("trigger", links=[{"text": "no href"}]), "'links' must be", id="a link to nowhere"
        ),
    ],
)
async def test_a_wrong_event_is_a_400_that_lists_what_is_wrong(
    client: httpx.AsyncClient, pagerduty: RecordingPagerDuty, body: Any, said: str
) -> None:
    """What PagerDuty would refuse is refused, and opens nothing."""
    answer = await enqueue(client, pagerduty, body)
    assert answer.status_code == 400
    assert answer.json()["status"] == "invalid event"
    assert any(said in error for error in answer.json()["errors"])
    assert pagerduty.incidents == []


async def test_a_repeated_trigger_pages_once(
    client: httpx.AsyncClient, pagerduty: RecordingPagerDuty
) -> None:
    """Triggers of one open key are one incident and one page."""
    for _ in range(3):
        await enqueue(client, pagerduty, event("trigger"))
    assert pagerduty.incident("k").triggers == 3
    assert pagerduty.pages == ["k"]


async def test_a_trigger_after_a_persons_acknowledgement_pages_nobody(
    client: httpx.AsyncClient, pagerduty: RecordingPagerDuty
) -> None:
    """An acknowledged incident takes the trigger and stays quiet."""
    await enqueue(client, pagerduty, event("trigger"))
    pagerduty.acknowledge("k")
    await enqueue(client, pagerduty, event("trigger"))
    assert pagerduty.incident("k").state is PagerState.ACKNOWLEDGED
    assert pagerduty.pages == ["k"]


async def test_a_trigger_after_the_resolve_opens_a_new_incident(
    client: httpx.AsyncClient, pagerduty: RecordingPagerDuty
) -> None:
    """A resolved incident is never opened again: the key gets another one."""
    for action in ("trigger", "resolve", "trigger"):
        await enqueue(client, pagerduty, event(action))
    assert [incident.state for incident in pagerduty.incidents] == [PagerState.RESOLVED, PagerState.OPEN]


@pytest.mark.parametrize(
    "dropped",
    [event("resolve", key="other"), event("resolve", routing_key="x" * 32), event("acknowledge", key="o")],
)
async def test_what_names_nothing_open_is_accepted_and_dropped(
    client: httpx.AsyncClient, pagerduty: RecordingPagerDuty, dropped: dict[str, Any]
) -> None:
    """Another key, or the same key by another routing key, changes nothing."""
    await enqueue(client, pagerduty, event("trigger"))
    answer = await enqueue(client, pagerduty, dropped)
    assert answer.status_code == 202
    assert [incident.state for incident in pagerduty.incidents] == [PagerState.OPEN]


async def test_a_post_is_answered_as_slack_does(client: httpx.AsyncClient, slack: RecordingSlack) -> None:
    """A message is answered with the word ok, and can be read."""
    answer = await client.post(slack.webhook_url, json={"text": "hello"})
    assert (answer.status_code, answer.text) == (200, "ok")
    assert slack.messages == [{"text": "hello"}]


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"{half", 400, "invalid_payload"),
        (b'{"text": ""}', 400, "no_text"),
        (b'{"text": "t", "blocks": [{"type": "nonsense"}]}', 400, "invalid_blocks"),
    ],
)
async def test_a_wrong_message_is_refused_in_slacks_words(
    client: httpx.AsyncClient, slack: RecordingSlack, content: bytes, status: int, said: str
) -> None:
    """Slack answers plain words, and posts nothing."""
    answer = await client.post(slack.webhook_url, content=content)
    assert (answer.status_code, answer.text) == (status, said)
    assert slack.messages == []


async def test_a_deleted_channel_and_a_revoked_webhook_are_404(
    client: httpx.AsyncClient, slack: RecordingSlack
) -> None:
    """The word tells which of the two it is."""
    revoked = await client.post(f"{slack.url}/services/T00000000/B00000000/REVOKED", json={"text": "t"})
    slack.has_channel = False
    deleted = await client.post(slack.webhook_url, json={"text": "t"})
    assert [(a.status_code, a.text) for a in (revoked, deleted)] == [
        (404, "no_service"),
        (404, "channel_not_found"),
    ]


async def test_scripted_faults_happen_in_the_order_in_which_they_were_asked_for(
    client: httpx.AsyncClient, slack: RecordingSlack
) -> None:
    """Each request takes one fault; after the last one all is well."""
    slack.fail_next(429, retry_after=7)
    slack.fail_next(500)
    slack.drop_next()
    limited = await client.post(slack.webhook_url, json={"text": "1"})
    broken = await client.post(slack.webhook_url, json={"text": "2"})
    with pytest.raises(httpx.RemoteProtocolError):
        await client.post(slack.webhook_url, json={"text": "3"})
    well = await client.post(slack.webhook_url, json={"text": "4"})
    assert [limited.status_code, broken.status_code, well.status_code] == [429, 500, 200]
    assert limited.headers["Retry-After"] == "7"
    assert [message["text"] for message in slack.messages] == ["3", "4"]
    assert len(slack.requests) == 4
