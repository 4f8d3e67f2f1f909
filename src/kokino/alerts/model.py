"""An alert, its states and how it came to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Phase(StrEnum):
    """The only states of an alert; acknowledged and silenced are facts beside it."""

    INACTIVE = "inactive"
    #: A condition holds, but not yet for as long as its rule asks.
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


#: The states of an alert that must still come to an end.
UNSETTLED = (Phase.FIRING, Phase.PENDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One instance of a rule with its labels."""

    alert_id: str
    rule_id: str
    #: Hash of the rule and the labels: the same alert after every restart.
    fingerprint: str
    labels: Mapping[str, str]
    state: Phase
    #: From firing to resolved; a new firing gets a new one.
    episode_id: str | None = None
    #: Since when it is in this state.
    since: datetime
    #: Since when a condition has held, while pending.
    pending_at: datetime | None = None
    #: When the latest episode began.
    firing_at: datetime | None = None
    #: When the latest episode ended; None while it lasts.
    resolved_at: datetime | None = None
    #: Since when the resolve condition has held without a break.
    clear_at: datetime | None = None
    #: Windows never reach back to this instant or before: the latest resolve.
    windows_from: datetime | None = None
    #: What the rule measured when it last looked, see `evaluate.Measured`.
    measured: Mapping[str, Any] = field(default_factory=dict)
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledgement_ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of an alert's state and why: together they answer ``why``."""

    alert_id: str
    #: The episode that it belongs to, if any.
    episode_id: str | None
    at: datetime
    from_state: Phase
    to_state: Phase
    #: In plain English, with the figures that decided.
    reason: str
    measured: Mapping[str, Any]


def fingerprint(rule_id: str, labels: Mapping[str, str]) -> str:
    """What tells one alert from all others."""
    canonical = json.dumps([rule_id, sorted(labels.items())], separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
