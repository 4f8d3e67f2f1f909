"""The answers about service levels, field by field.

Fields are named as in the HTTP answer, in snake case; the API writes them in camel case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from kokino.slo.budget import ErrorBudget


class State(StrEnum):
    """How a service level stands."""

    OK = "ok"
    BREACHED = "breached"
    #: Nothing was measured: neither kept nor broken.
    NO_DATA = "no_data"


class Period(StrEnum):
    """What a report is over, up to now."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"

    @property
    def length(self) -> timedelta:
        """A month is 30 days, as the error budget's window."""
        return timedelta(days={Period.DAILY: 1, Period.WEEKLY: 7, Period.MONTHLY: 30}[self])


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What was counted over an objective's whole window."""

    days: float
    #: Good over valid executions; None without any.
    current: float | None
    good: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """How available the fleet is."""

    #: Completed over valid executions of the last hour; None without any.
    current: float | None
    target: float
    #: True while `current` is under `target`.
    breached: bool
    #: State of the alert on this service level.
    alert_state: str
    #: Share of the window's error budget that is left; None without executions.
    error_budget_remaining: float | None
    state: State
    window: Window
    #: By window: how many times faster than allowed the budget goes; None without executions.
    burn_rates: Mapping[str, float | None]
    error_budget: ErrorBudget


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long executions take. Those that still run past the threshold are counted with their age so far."""

    #: Share within the threshold, over the objective's window; None without executions.
    current: float | None
    target: float
    breached: bool
    alert_state: str
    state: State
    threshold_ms: int
    #: Quantiles in ms, over the objective's window; None without executions.
    p50: int | None
    p95: int | None
    p99: int | None
    max: int | None
    #: Executions that still run and are past the threshold.
    running_slow: int
    error_budget_remaining: float | None
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Correctness, integrity or resources: a share of what was counted over the objective's window."""

    #: None where nothing was counted.
    current: float | None
    target: float
    breached: bool
    alert_state: str
    state: State
    error_budget_remaining: float | None
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class SloStatus:
    """Every service level, now."""

    availability: Availability
    latency: Latency
    correctness: Counted
    integrity: Counted
    resources: Counted
    timestamp: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One service level over a report's period."""

    #: The share that was reached; None without data.
    current: float | None
    target: float
    good: int
    total: int
    state: State
    #: True where the target was reached; None without data.
    compliant: bool | None
    #: The period's error budget.
    error_budget: ErrorBudget
    #: Quantiles in ms, for latency.
    quantiles: Mapping[str, int | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SloReport:
    """Every service level over a period."""

    period: Period
    #: What ended after `since`, up to and with `until`.
    since: datetime
    until: datetime
    availability: Level
    latency: Level
    correctness: Level
    integrity: Level
    resources: Level
