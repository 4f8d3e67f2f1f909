"""What is told to whom: messages, deliveries and what became of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from kokino.clock import iso


class Severity(StrEnum):
    """How soon a person must look."""

    P1 = "P1"
    P2 = "P2"
    P3 = "P3"


class Action(StrEnum):
    """What a delivery does at its receiver to the thing that its dedup key names."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    UPDATE = "update"


class DeliveryState(StrEnum):
    """Where a delivery stands; the last four are final."""

    #: Goes out at ``due_at``, once nothing earlier of its dedup key is left.
    WAITING = "waiting"
    #: A broker is sending it, until ``lease_ends_at`` at the latest.
    LEASED = "leased"
    #: The receiver said that it has it.
    DELIVERED = "delivered"
    #: The receiver does not have it and will not get it.
    FAILED = "failed"
    #: Given up, and at least one attempt ended without an answer: the receiver may have it.
    UNCERTAIN = "uncertain"
    #: Never sent, for what it would end never began.
    CANCELLED = "cancelled"


class Outcome(StrEnum):
    """What one attempt came to."""

    #: The receiver said that it has it.
    ACCEPTED = "accepted"
    #: The receiver does not have it; another attempt may do.
    RETRY = "retry"
    #: The receiver does not want it; no further attempt would change that.
    REFUSED = "refused"
    #: Sent, but no answer came back. Stored as no outcome at all, for that is what is known.
    UNCERTAIN = "uncertain"


class Reason(StrEnum):
    """Why an attempt was not accepted, in so few words that they can be counted."""

    #: No connection: nothing was sent.
    UNREACHABLE = "unreachable"
    #: Sent, and the answer was lost.
    NO_ANSWER = "no_answer"
    #: The receiver asks for fewer (429).
    RATE_LIMITED = "rate_limited"
    #: Another 3xx or 4xx: our configuration or our message is wrong.
    CLIENT_ERROR = "client_error"
    #: A 5xx, or a 408.
    SERVER_ERROR = "server_error"
    #: A 2xx that is not the receiver's own.
    WRONG_ANSWER = "wrong_answer"
    #: What it is sent does not fit the channel.
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a channel has to say about one attempt."""

    outcome: Outcome
    #: What the receiver answered, or what went wrong, without secrets.
    detail: str
    #: The receiver's own name for what it took.
    reference: str | None = None
    #: How long the receiver asks to be left alone.
    retry_after: timedelta | None = None
    #: Why it was not accepted; of no meaning where it was.
    reason: Reason = Reason.OTHER


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Something to click on."""

    text: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is said, before a channel gives it a form of its own.

    Its texts may come from agents: hostile until escaped.
    """

    severity: Severity
    #: What happened, without the severity: ``Availability SLO breach detected``.
    title: str
    #: What a person needs to know first, as (label, text) in the order of reading.
    summary: tuple[tuple[str, str], ...] = ()
    #: The whole message as plain lines, for channels without a form of their own.
    text: str = ""
    #: The dashboard first, then the playbook.
    links: tuple[Link, ...] = ()
    #: Which installation says so.
    source: str
    #: What the playbook found, once it has.
    probable_cause: str | None = None
    #: The part that is broken, the group it belongs to, and the rule that saw it.
    component: str | None = None
    group: str | None = None
    rule: str | None = None
    #: Whose it is, and what tells its alert from others of the rule.
    owner: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Figures for machines; JSON.
    details: Mapping[str, Any] = field(default_factory=dict)
    #: Since when its alert fires; None for what is about none.
    firing_at: datetime | None = None
    #: The lines of the message that this one follows, for a receiver that keeps only the latest.
    follows: tuple[tuple[str, str], ...] = ()

    @property
    def headline(self) -> str:
        """The title with its severity: ``P1: Availability SLO breach detected``."""
        return f"{self.severity}: {self.title}"

    def to_document(self) -> dict[str, Any]:
        """As JSON for the database."""
        document = dataclasses.asdict(self)
        return {**document, "firing_at": None if self.firing_at is None else iso(self.firing_at)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Message:
        """The message that `to_document` wrote."""
        fields = dict(document)
        fields["severity"] = Severity(fields["severity"])
        fields["summary"] = tuple((label, text) for label, text in fields["summary"])
        fields["links"] = tuple(Link(**link) for link in fields["links"])
        # What an earlier version has written tells of neither.
        fields["follows"] = tuple((label, text) for label, text in fields.get("follows", ()))
        since = fields.get("firing_at")
        fields["firing_at"] = None if since is None else datetime.fromisoformat(since)
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message on its way to one receiver."""

    #: Counts up; within a receiver and dedup key the smaller one goes first.
    delivery_id: int
    receiver: str
    action: Action
    #: Ties a resolve to its trigger, here and at the receiver. At most 255 characters.
    dedup_key: str
    message: Message
    state: DeliveryState
    #: How many attempts were begun.
    attempts: int
    queued_at: datetime
    #: Not before then.
    due_at: datetime
    lease_ends_at: datetime | None = None
    delivered_at: datetime | None = None
    #: The receiver's own name for what it took.
    reference: str | None = None
    #: What the last attempt ran into, or why there will be none.
    error: str | None = None
    #: Some attempt ended without an answer, so the receiver may have this already.
    is_uncertain: bool = False
    episode_id: str | None = None
    incident: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to hand a delivery to its receiver."""

    attempt_id: int
    delivery_id: int
    #: From 1, per delivery.
    number: int
    started_at: datetime
    #: None while it runs.
    ended_at: datetime | None = None
    #: None until it is known, and for ever where the answer was lost: uncertain, never failed.
    outcome: Outcome | None = None
    detail: str | None = None
