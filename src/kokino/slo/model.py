"""What an objective is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class SloId(StrEnum):
    """The service levels that Kokino knows how to measure, or will."""

    AVAILABILITY = "availability"
    LATENCY = "latency"
    CORRECTNESS = "correctness"
    INTEGRITY = "integrity"
    RESOURCES = "resources"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A share of good events that is promised over a window."""

    #: Which service level it is about.
    id: SloId
    #: The share that is promised, above 0 and up to 1.
    target: float
    #: The rolling window over which it is promised.
    window: timedelta
    #: For latency: an execution is good when it took at most this long.
    threshold: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """What is promised for each service level."""

    availability: Objective
    latency: Objective
    correctness: Objective
    integrity: Objective
    resources: Objective

    def of(self, id: SloId) -> Objective:
        """The objective of one service level."""
        found: Objective = getattr(self, id.value)
        return found
