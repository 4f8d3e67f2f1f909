"""What an incident is, and the only ways in which it changes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from kokino.errors import Conflict, NotFound

#: Author of the entries that the broker writes itself.
BROKER = "kokino"

#: Time to the review, by severity; the specification's "Post-Incident Review" names both.
REVIEW_WITHIN = {"P1": timedelta(hours=48), "P2": timedelta(weeks=1)}


class IncidentState(StrEnum):
    """Where an incident stands."""

    #: Users feel it and nothing has helped yet.
    OPEN = "open"
    #: A repair was verified; the alert has not cleared yet. No further tier is told.
    MITIGATED = "mitigated"
    #: It is over; the review is still to come.
    RESOLVED = "resolved"
    #: It was looked back on.
    REVIEWED = "reviewed"

    @property
    def is_over(self) -> bool:
        """True once nothing joins it any more."""
        return self in {IncidentState.RESOLVED, IncidentState.REVIEWED}


class Change(StrEnum):
    """What can happen to an incident."""

    MITIGATE = "mitigate"
    #: The repair did not last.
    REOPEN = "reopen"
    RESOLVE = "resolve"
    REVIEW = "review"


#: Every allowed change; any other is refused.
TRANSITIONS = {
    (IncidentState.OPEN, Change.MITIGATE): IncidentState.MITIGATED,
    (IncidentState.OPEN, Change.RESOLVE): IncidentState.RESOLVED,
    (IncidentState.MITIGATED, Change.REOPEN): IncidentState.OPEN,
    (IncidentState.MITIGATED, Change.RESOLVE): IncidentState.RESOLVED,
    (IncidentState.RESOLVED, Change.REVIEW): IncidentState.REVIEWED,
}


class EntryKind(StrEnum):
    """What a timeline entry tells of."""

    #: The incident was opened; bookkeeping, left out of the review document.
    OPENED = "opened"
    #: An alert fired; ``data`` holds what its rule measured.
    FIRED = "fired"
    #: The alert's own condition for its end was met.
    CLEARED = "cleared"
    #: The first tier was told.
    PAGED = "paged"
    #: A later tier was told, or one was told again.
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    #: A playbook can do no more: the next tier is to hear of it now.
    HANDED_OVER = "handed_over"
    #: A playbook step looked at something.
    EVIDENCE = "evidence"
    #: The playbook knew the failure, or knew that it did not; ``data`` as in `Pattern`.
    PATTERN = "pattern"
    #: Something was changed to help.
    ACTION = "action"
    #: The repair was seen to work.
    VERIFIED = "verified"
    MITIGATED = "mitigated"
    REOPENED = "reopened"
    RESOLVED = "resolved"
    #: What was switched over for the repair was switched back.
    RESTORED = "restored"
    NOTE = "note"
    #: Somebody stated the root cause or changed an action item.
    CAUSE = "cause"
    ACTION_ITEM = "action_item"
    REVIEWED = "reviewed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionItem:
    """Something to be done so that it does not happen again."""

    text: str
    is_done: bool = False

    def to_document(self) -> dict[str, Any]:
        """As the database and the API show it."""
        return {"text": self.text, "isDone": self.is_done}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> ActionItem:
        """The reverse of `to_document`."""
        return cls(text=document["text"], is_done=document["isDone"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One outage, from the first alert to its review."""

    number: int
    #: The alert rule that opened it; episodes of the same rule and labels join it.
    rule_id: str
    labels: Mapping[str, str]
    title: str
    #: ``P1`` or ``P2``.
    severity: str
    #: Who answers for it first: ``@backend-team``.
    owner: str
    state: IncidentState
    #: When its first alert fired: that is when it began for users.
    opened_at: datetime
    mitigated_at: datetime | None
    resolved_at: datetime | None
    reviewed_at: datetime | None
    #: The review is owed by then; None until it is resolved.
    review_due_at: datetime | None
    #: In words; None while nobody and no playbook has found it.
    root_cause: str | None
    action_items: tuple[ActionItem, ...]
    #: File name below ``incidents/``.
    document: str
    #: Number of the last timeline entry that the file tells of; 0 when there is no file yet.
    documented_up_to: int

    @property
    def id(self) -> str:
        """``INC-7``."""
        return incident_id(self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One thing that happened; never changed, never removed."""

    entry_id: int
    incident: int
    #: When it happened, which may be before it was written down.
    at: datetime
    kind: EntryKind
    #: `BROKER`, or the person.
    author: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What a playbook run recognised: the ``data`` of an `EntryKind.PATTERN` entry."""

    #: The row of the playbook's table; None when no row matched.
    pattern: str | None
    #: Probable cause, a sentence without a full stop.
    cause: str | None = None
    cli_type: str | None = None
    account: str | None = None
    agent_id: str | None = None
    #: Most frequent `FailureKind` of the failures.
    kind: str | None = None
    #: The playbook that looked.
    playbook: str | None = None

    def to_data(self) -> dict[str, Any]:
        """As the timeline keeps it; what is unknown is left out."""
        return {
            name: value
            for name in Pattern.__dataclass_fields__
            if (value := getattr(self, name)) is not None or name == "pattern"
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Pattern:
        """The reverse of `to_data`; what else stands in `data` is passed over."""
        return cls(**{name: data.get(name) for name in Pattern.__dataclass_fields__})


def incident_id(number: int) -> str:
    """``INC-7`` for 7."""
    return f"INC-{number}"


def incident_number(text: str) -> int:
    """7 for ``INC-7``, ``inc-7`` or ``7``. Raises `NotFound` for anything else."""
    if found := re.fullmatch(r"(?:INC-)?([1-9][0-9]{0,17})", text, flags=re.IGNORECASE):
        return int(found[1])
    raise NotFound(f"there is no incident {text[:40]!r}: its name looks like INC-7")


def after(incident: Incident, change: Change) -> IncidentState:
    """The state that `change` leads to. Raises `Conflict` where it is not allowed."""
    try:
        return TRANSITIONS[incident.state, change]
    except KeyError:
        allowed = [str(known) for state, known in TRANSITIONS if state is incident.state]
        possible = f"possible: {', '.join(allowed)}" if allowed else "that is final"
        raise Conflict(f"cannot {change} {incident.id}: it is {incident.state}; {possible}") from None


def document_name(opened_at: datetime, copy: int) -> str:
    """``incident-20260105-0900.md``; the second in that minute (`copy` 2) ends in ``-2``. UTC."""
    suffix = "" if copy == 1 else f"-{copy}"
    return f"incident-{opened_at:%Y%m%d-%H%M}{suffix}.md"
