"""PagerDuty and Slack as far as Kokino speaks to them: real HTTP on loopback, with the real meaning."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from kokino.testing.http_receiver import HttpReceiver, Request, Response

#: The shape of a routing key, for configurations that need one.
ROUTING_KEY = "R0UT1NGKEY" + "0" * 22


class PagerState(StrEnum):
    """The states of an incident at PagerDuty."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerIncident:
    """What a service of PagerDuty shows for one dedup key."""

    routing_key: str
    dedup_key: str
    state: PagerState
    summary: str
    severity: str
    #: How often somebody's telephone rang for it. Repeats of the trigger add nothing.
    pages: int
    #: Triggers that it took, repeats included: the entries in its log.
    triggers: int


class RecordingPagerDuty(HttpReceiver):
    """PagerDuty's Events API v2 with the incidents that it keeps.

    Source: PagerDuty developer documentation, "Events API v2 Overview" (answers 202, 400, 429, 5xx; 512 KB)
    and "Send an Alert Event" (fields, limits, de-duplication). A trigger whose key is open adds to its alert,
    one whose key is acknowledged notifies nobody, one whose key is resolved opens a new incident. What would
    acknowledge or resolve a key that is not open, or comes by another routing key, is accepted and dropped.
    The wording of single faults in a 400 is ours where the documentation gives none.
    """

    def __init__(self) -> None:
        super().__init__()
        #: In the order in which they were opened; a key that is triggered after its resolve has several.
        self.incidents: list[PagerIncident] = []

    def incident(self, dedup_key: str) -> PagerIncident:
        """The newest incident of a key; `KeyError` if there was none."""
        for incident in reversed(self.incidents):
            if incident.dedup_key == dedup_key:
                return incident
        raise KeyError(dedup_key)

    def acknowledge(self, dedup_key: str) -> None:
        """Acknowledge an open incident, as a person does on the telephone."""
        incident = self.incident(dedup_key)
        if incident.state is not PagerState.OPEN:
            raise ValueError(f"{dedup_key} is {incident.state}, only an open incident can be acknowledged")
        self._replace(incident, state=PagerState.ACKNOWLEDGED)

    @property
    def pages(self) -> list[str]:
        """The dedup keys that somebody was paged for, in order."""
        return [incident.dedup_key for incident in self.incidents for _ in range(incident.pages)]

    def process(self, request: Request) -> Response:
        """Take one event, as ``POST /v2/enqueue`` does."""
        if (request.method, request.path) != ("POST", "/v2/enqueue"):
            return _json(404, {"status": "not found"})
        if len(request.content) > 512 * 1024:
            return _json(413, {"status": "invalid event", "message": "Event is too large"})
        event = request.body
        if errors := _event_faults(event):
            return _json(
                400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            )
        key = event.get("dedup_key") or f"generated-{len(self.requests)}"
        self._apply(event, key)
        return _json(202, {"status": "success", "message": "Event processed", "dedup_key": key})

    def refusal(self, status: int) -> Response:
        """The body that goes with `status`."""
        if status == 429:
            return _json(status, {"status": "throttle exceeded", "message": "Please retry later"})
        if status == 400:
            return _json(
                status, {"status": "invalid event", "message": "Event object is invalid", "errors": []}
            )
        return _json(status, {"status": "error", "message": "Internal Server Error"})

    def _apply(self, event: Mapping[str, Any], key: str) -> None:
        live = self._live(event["routing_key"], key)
        match event["event_action"]:
            case "trigger" if live is None:
                self.incidents.append(_opened(event, key))
            case "trigger" if live is not None:
                self._replace(live, triggers=live.triggers + 1)
            case "acknowledge" if live is not None:
                self._replace(live, state=PagerState.ACKNOWLEDGED)
            case "resolve" if live is not None:
                self._replace(live, state=PagerState.RESOLVED)

    def _live(self, routing_key: str, dedup_key: str) -> PagerIncident | None:
        for incident in self.incidents:
            is_same = (incident.routing_key, incident.dedup_key) == (routing_key, dedup_key)
            if is_same and incident.state is not PagerState.RESOLVED:
                return incident
        return None

    def _replace(self, incident: PagerIncident, **changes: Any) -> None:
        self.incidents[self.incidents.index(incident)] = replace(incident, **changes)


class RecordingSlack(HttpReceiver):
    """One Slack incoming webhook and the channel that it posts to.

    Source: Slack developer documentation, "Sending messages using incoming webhooks" (``ok``, and plain-text
    errors such as ``invalid_payload``, ``no_text``, ``channel_not_found``), "Rate limits" (429 with
    Retry-After) and the Block Kit reference (50 blocks; 150 characters in a header, 3000 in a section, 10
    elements in a context).
    """

    def __init__(self) -> None:
        super().__init__()
        #: The payloads that were posted, in order: what people in the channel see.
        self.messages: list[Mapping[str, Any]] = []
        #: False once somebody deleted the channel.
        self.has_channel = True

    @property
    def webhook_url(self) -> str:
        """The address to post to."""
        return f"{self.url}/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"

    def process(self, request: Request) -> Response:
        """Post one message."""
        if request.method != "POST" or f"{self.url}{request.path}" != self.webhook_url:
            return Response(status=404, content=b"no_service")
        fault = _payload_fault(request.body)
        if fault is not None:
            return Response(status=400, content=fault.encode())
        if not self.has_channel:
            return self.refusal(404)
        self.messages.append(request.body)
        return Response(status=200, content=b"ok")

    def refusal(self, status: int) -> Response:
        """The word that goes with `status`."""
        words = {
            400: "invalid_payload",
            403: "action_prohibited",
            404: "channel_not_found",
            429: "rate_limited",
        }
        return Response(status=status, content=words.get(status, "rollup_error").encode())


def _opened(event: Mapping[str, Any], key: str) -> PagerIncident:
    return PagerIncident(
        routing_key=event["routing_key"],
        dedup_key=key,
        state=PagerState.OPEN,
        summary=event["payload"]["summary"],
        severity=event["payload"]["severity"],
        pages=1,
        triggers=1,
    )


def _event_faults(event: Any) -> list[str]:
    if not isinstance(event, dict):
        return ["the event is no JSON object"]
    faults = _key_faults(event)
    action = event.get("event_action")
    if action not in {"trigger", "acknowledge", "resolve"}:
        faults.append("'event_action' is invalid (must be one of trigger, acknowledge or resolve)")
    elif action == "trigger":
        faults += _payload_faults(event.get("payload")) + _link_faults(event.get("links", []))
    elif not event.get("dedup_key"):
        faults.append("'dedup_key' is missing or blank")
    return faults


def _key_faults(event: Mapping[str, Any]) -> list[str]:
    faults = []
    routing_key = event.get("routing_key")
    if not routing_key:
        faults.append("'routing_key' is missing or blank")
    elif not isinstance(routing_key, str) or len(routing_key) != 32:
        faults.append("Length of 'routing_key' is incorrect (should be 32 characters)")
    if len(str(event.get("dedup_key") or "")) > 255:
        faults.append("'dedup_key' is too long (maximum is 255 characters)")
    return faults


def _payload_faults(payload: Any) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing or blank"]
    faults = [
        f"'{name}' is missing or blank" for name in ("summary", "source", "severity") if not payload.get(name)
    ]
    if len(str(payload.get("summary", ""))) > 1024:
        faults.append("'summary' is too long (maximum is 1024 characters)")
    if payload.get("severity") not in {None, "critical", "error", "warning", "info"}:
        faults.append("'severity' is invalid (must be one of critical, error, warning or info)")
    return faults


def _link_faults(links: Any) -> list[str]:
    if isinstance(links, list) and all(isinstance(link, dict) and link.get("href") for link in links):
        return []
    return ["'links' must be a list of objects with 'href'"]


def _payload_fault(payload: Any) -> str | None:
    if not isinstance(payload, dict):
        return "invalid_payload"
    blocks = payload.get("blocks", [])
    if not payload.get("text") and not blocks:
        return "no_text"
    if not isinstance(blocks, list) or len(blocks) > 50 or not all(_is_block(block) for block in blocks):
        return "invalid_blocks"
    return None


def _is_block(block: Any) -> bool:
    match block:
        case {"type": "header", "text": {"type": "plain_text", "text": str(text)}}:
            return 0 < len(text) <= 150
        case {"type": "section", "text": {"type": "mrkdwn" | "plain_text", "text": str(text)}}:
            return 0 < len(text) <= 3000
        case {"type": "context", "elements": [*elements]}:
            return 0 < len(elements) <= 10
        case {"type": "divider"}:
            return True
    return False


def _json(status: int, body: Mapping[str, str | Sequence[str]]) -> Response:
    return Response(status=status, content=json.dumps(body).encode(), content_type="application/json")
