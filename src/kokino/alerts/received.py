"""Alerts of others: what an Alertmanager said of one of its own, and whether that is news."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from kokino.alerts.model import fingerprint
from kokino.clock import from_ms, to_ms

#: A group is sent again whenever anything in it changes. That an alert in it still fires is noted this often.
REPEATED = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was last said of an alert there."""

    labels: Mapping[str, str]
    #: False once it is over.
    is_firing: bool
    #: Since when it fires, by the clock there.
    since: datetime
    #: When this was said, by the clock here.
    at: datetime
    #: One line for people.
    summary: str
    #: Where its source shows it; None where it named no place.
    link: str | None = None

    @property
    def fingerprint(self) -> str:
        """What tells it from all others there."""
        return fingerprint("", self.labels)

    def to_data(self) -> dict[str, Any]:
        """As it stands in its event."""
        return {
            "labels": dict(self.labels),
            "isFiring": self.is_firing,
            "sinceMs": to_ms(self.since),
            "summary": self.summary,
            "link": self.link,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any], at: datetime) -> Self:
        """Back from `to_data`."""
        return cls(
            labels=data["labels"],
            is_firing=data["isFiring"],
            since=from_ms(data["sinceMs"]),
            at=at,
            summary=data["summary"],
            link=data["link"],
        )


def news(known: Told | None, said: Told) -> Told | None:
    """What is to be noted of it; None for what is known, or is over without having been heard of."""
    if known is None:
        return said if said.is_firing else None
    if not known.is_firing and not said.is_firing:
        return None
    if known.is_firing and said.is_firing and said.at - known.at < REPEATED:
        return None
    # A clock that was set back must not make what is new look old.
    return replace(said, at=max(said.at, known.at))
