"""What an escalation is, and the facts that decide about its next step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from kokino.alerts.model import Alert, Phase
from kokino.alerts.quiet import Quiet
from kokino.incidents.model import IncidentState


class EscalationState(StrEnum):
    """Where an escalation stands."""

    #: The next tier goes when it is due.
    ACTIVE = "active"
    #: Kept back by a silence, or by an alert that inhibits this one.
    QUIET = "quiet"
    #: Told of by the messages of another one: alerts of one rule that came together.
    JOINED = "joined"
    #: Kept back by an acknowledgement.
    HELD = "held"
    #: The incident is mitigated or over; goes on only if it is opened again.
    STOPPED = "stopped"
    #: The alert's episode ended.
    FINISHED = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """The chain of one alert's episode."""

    episode_id: str
    alert_id: str
    policy: str
    incident: int | None
    state: EscalationState
    #: Number of the tier that was told last, from 0; -1 while nobody was told. Of one that has joined another
    #: 0 once the other's messages have told of it.
    tier: int
    #: Grows whenever a tier is told again: a receiver that has acknowledged a key is not woken by it again.
    round: int
    #: When it must be looked at again; None when only an event can change it.
    due_at: datetime | None
    #: When the first tier was told: the delays of the others count from here. Later for one that was quiet.
    started_at: datetime
    #: Why it is in this state.
    reason: str
    #: The timeline entry up to which a playbook's handing over was passed on.
    handed_over_up_to: int = 0
    #: The episode whose messages tell of this one too.
    joined_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Somebody has said that they look after it."""

    by: str
    at: datetime
    #: None: it lasts as long as the episode.
    ends_at: datetime | None

    def holds_at(self, now: datetime) -> bool:
        """True until it expires."""
        return self.ends_at is None or now < self.ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The alert that an escalation is about, as it stands."""

    alert_id: str
    rule_id: str
    #: Of its present episode; None before its first.
    episode_id: str | None
    is_firing: bool
    measured: Mapping[str, Any]
    labels: Mapping[str, str]
    acknowledgement: Acknowledgement | None

    @classmethod
    def of(cls, alert: Alert) -> Self:
        """What an escalation asks of `alert`."""
        return cls(
            alert_id=alert.alert_id,
            rule_id=alert.rule_id,
            episode_id=alert.episode_id,
            is_firing=alert.state is Phase.FIRING,
            measured=alert.measured,
            labels=alert.labels,
            acknowledgement=_acknowledgement(alert),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One time that a tier was told."""

    tier: int
    round: int
    at: datetime
    #: True when one of its receivers wakes a person.
    is_page: bool
    #: True once a receiver that wakes a person has taken it.
    is_accepted: bool
    #: True when a receiver gave any answer since then: silence is then theirs, not our own network's.
    is_network_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything beside the escalation itself that its next step depends on."""

    #: False once the alert's episode has ended, and those of all that are told of with it.
    is_firing: bool
    #: None for an alert that opens no incident.
    incident_state: IncidentState | None = None
    acknowledgement: Acknowledgement | None = None
    #: Why nobody is told for now; None where people are.
    quiet: Quiet | None = None
    #: In the order in which they were queued.
    tellings: tuple[Telling, ...] = ()


def dedup_key(installation: str, episode_id: str, tier: int, round: int) -> str:
    """What a paging receiver knows one telling by."""
    return f"{installation}:{episode_id}:t{tier}:r{round}"


def tier_and_round(key: str) -> tuple[int, int] | None:
    """The reverse of `dedup_key`; None for a key of somebody else's making."""
    found = re.search(r":t(\d+):r(\d+)$", key)
    return None if found is None else (int(found[1]), int(found[2]))


def _acknowledgement(alert: Alert) -> Acknowledgement | None:
    if alert.acknowledged_at is None or alert.acknowledged_by is None:
        return None
    return Acknowledgement(
        by=alert.acknowledged_by, at=alert.acknowledged_at, ends_at=alert.acknowledgement_ends_at
    )
