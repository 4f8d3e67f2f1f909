"""Inhibition: an alert that is a symptom of another one tells nobody while that one fires. Pure.

And for a while after it, for symptoms outlive their cause: a circuit breaker closes with the next execution
that succeeds, an error budget stays spent. What begins to fire after the cause was resolved is told of at
once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from kokino.alerts.model import Alert, Phase
from kokino.alerts.rule import Inhibits


class Inhibiting(Protocol):
    """A rule, as far as it keeps others quiet."""

    @property
    def inhibits(self) -> tuple[Inhibits, ...]:
        """Whose alerts it keeps quiet."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inhibition:
    """What keeps an alert quiet."""

    #: The other alert.
    by: Alert
    #: When it ends by itself; None while the other alert fires.
    ends_at: datetime | None


def inhibiting(rule_id: str, rules: Mapping[str, Inhibiting]) -> list[str]:
    """The rules that can keep alerts of `rule_id` quiet."""
    return [name for name, rule in rules.items() if any(one.rule == rule_id for one in rule.inhibits)]


def inhibition(
    alert: Alert, alerts: Iterable[Alert], rules: Mapping[str, Inhibiting], *, now: datetime
) -> Inhibition | None:
    """What keeps `alert` quiet at `now`; None where nothing does. One that fires goes before one that did."""
    found = [
        found
        for other in alerts
        if other.alert_id != alert.alert_id and other.rule_id in rules
        for inhibits in rules[other.rule_id].inhibits
        if _names(inhibits, other, alert) and (found := _by(other, alert, inhibits, now)) is not None
    ]
    return min(found, key=lambda one: (one.ends_at is not None, one.by.since, one.by.alert_id), default=None)


def _by(other: Alert, alert: Alert, inhibits: Inhibits, now: datetime) -> Inhibition | None:
    if other.state is Phase.FIRING:
        return Inhibition(by=other, ends_at=None)
    # Whatever it is now: one that is about to fire again was resolved all the same.
    if other.resolved_at is None:
        return None
    is_of_then = alert.firing_at is not None and alert.firing_at <= other.resolved_at
    ends_at = other.resolved_at + inhibits.linger
    return Inhibition(by=other, ends_at=ends_at) if is_of_then and now < ends_at else None


def _names(inhibits: Inhibits, by: Alert, alert: Alert) -> bool:
    """True where `alert` is meant: by its rule, and with the same labels where these are asked for."""
    same = all(name in alert.labels and alert.labels[name] == by.labels.get(name) for name in inhibits.equal)
    return inhibits.rule == alert.rule_id and same
