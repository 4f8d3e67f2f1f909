"""An alert's episode as an incident sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


class RuleFacts(Protocol):
    """What an incident takes over from the alert rule that opened it."""

    @property
    def title(self) -> str:
        """``Availability SLO Breach``."""
        ...

    @property
    def severity(self) -> str:
        """``P1``, ``P2`` or ``P3``."""
        ...

    @property
    def owner(self) -> str:
        """``@backend-team``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One time from firing to resolved."""

    episode_id: str
    alert_id: str
    rule_id: str
    labels: Mapping[str, str]
    fired_at: datetime
    #: What the rule measured when it last looked.
    measured: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How an episode began or came to its end."""

    at: datetime
    #: The rule's own words for why it fired or resolved.
    reason: str
    measured: Mapping[str, Any]


def title(rule: str, labels: Mapping[str, str]) -> str:
    """The rule's title, and what its labels narrow it to: ``Circuit Breaker Opened (agent reviewer)``."""
    # The service level stands in the rule's own title.
    narrowing = {name: value for name, value in sorted(labels.items()) if name != "slo"}
    named = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in narrowing.items())
    return f"{rule} ({named})" if named else rule
