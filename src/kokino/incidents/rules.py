"""What an incident takes over from the alert rule that opened it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from kokino.alerts.rule import Inhibits


class RuleFacts(Protocol):
    """A rule, as far as an incident knows it."""

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

    @property
    def inhibits(self) -> tuple[Inhibits, ...]:
        """Rules whose alerts are symptoms of this one's."""
        ...


def title(rule: str, labels: Mapping[str, str]) -> str:
    """The rule's title, and what its labels narrow it to: ``Circuit Breaker Opened (agent reviewer)``."""
    named = narrowed(labels)
    return f"{rule} ({named})" if named else rule


def narrowed(labels: Mapping[str, str]) -> str:
    """What tells an alert from others of its rule, ``agent reviewer``; empty for a rule with one alone."""
    # The service level stands in the rule's own title.
    narrowing = {name: value for name, value in sorted(labels.items()) if name != "slo"}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in narrowing.items())
