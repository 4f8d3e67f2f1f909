"""What a rule measured: stored with its alert, and told by pages, incidents and ``why``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from kokino.slo.budget import budget
from kokino.slo.model import Objective
from kokino.telemetry.model import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the condition that decided saw. Without a service level most of it is None."""

    #: The condition that decided; None when none holds.
    condition: str | None = None
    #: All conditions that hold.
    holding: list[str] = field(default_factory=list)
    #: Why it fires or does not, in plain English.
    reason: str
    #: The service level that the rule watches.
    slo: str | None = None
    #: Good over valid executions in the condition's window; None without any.
    current: float | None = None
    #: The objective.
    target: float | None = None
    #: Length of the condition's window in seconds, and what was counted in it.
    window_seconds: int | None = None
    good: int | None = None
    bad: int | None = None
    total: int | None = None
    #: For a condition that counts no good and bad ones: the mean in MiB, or the number of events.
    value: float | None = None
    #: Where the source of an alert of others shows it.
    link: str | None = None
    #: How fast the error budget goes over the condition's window; None without executions.
    burn_long: float | None = None
    #: The same over its short window, for a condition that has one.
    burn_short: float | None = None
    #: Probability of these failures, or more, if the SLO were kept; None in the ungated form.
    chance: float | None = None
    #: The error budget's window in days, its size and what of it is spent and left, in minutes. Spent can
    #: be more than there was. None without executions.
    budget_days: float | None = None
    budget_minutes: float | None = None
    budget_minutes_spent: float | None = None
    budget_minutes_left: float | None = None
    #: Share of the error budget that is spent, 1.3 when it is overspent by 30 %; None without executions.
    budget_consumed: float | None = None

    def to_document(self) -> dict[str, Any]:
        """As it is stored: what it has, and nothing for what it has not, but for what a level always has."""
        document = {name: getattr(self, name) for name in self.__slots__}
        if self.slo is not None:
            return document
        return {key: value for key, value in document.items() if value is not None}


def with_budget(measured: Measured, objective: Objective, counted: Counts) -> Measured:
    """The same with the error budget, of what was `counted` over the objective's whole window."""
    spent = budget(counted, objective)
    consumed = spent.consumed
    return replace(
        measured,
        budget_days=objective.window / timedelta(days=1),
        budget_minutes=spent.minutes_total,
        budget_minutes_spent=None if consumed is None else spent.minutes_total * consumed,
        budget_minutes_left=spent.minutes_remaining,
        budget_consumed=consumed,
    )
