"""Error budgets and burn rates: arithmetic on counts, exact until the last step.

Targets are decimals that binary fractions miss: 1 - 0.995 is 0.0050000000000000044, and 36 failures in 100
would burn at 71.99999. So they are read as the decimals that somebody wrote, and rounded once, at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from functools import cache

from kokino.slo.model import Objective
from kokino.telemetry.model import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBudget:
    """What may fail over an objective's window, and how much of it has."""

    #: The budget as time: the window times what may fail. 216 for 99.5 % over 30 days.
    minutes_total: float
    #: What is left of it, not below 0; None without executions.
    minutes_remaining: float | None
    #: Share that is spent; above 1 when more failed than was allowed. None without executions.
    consumed: float | None
    #: Share that is left, not below 0; None without executions.
    remaining: float | None


def budget(counts: Counts, objective: Objective) -> ErrorBudget:
    """The error budget of `objective` after what was counted over its window."""
    total = _allowed(objective.target) * Fraction(objective.window / timedelta(minutes=1))
    consumed = _burn(counts, objective.target)
    remaining = None if consumed is None else max(Fraction(0), 1 - consumed)
    return ErrorBudget(
        minutes_total=float(total),
        minutes_remaining=None if remaining is None else float(total * remaining),
        consumed=None if consumed is None else float(consumed),
        remaining=None if remaining is None else float(remaining),
    )


def burn_rate(counts: Counts, target: float) -> float | None:
    """How many times faster than allowed the budget went over what was counted; None without executions.

    At 1 the budget lasts exactly its window.
    """
    if not counts.total:
        return None
    allowed = _allowed(target)
    if not allowed:
        return float(min(counts.bad, 1))
    # Of two integers, the quotient is rounded once: a fraction would say the same more slowly.
    return counts.bad * allowed.denominator / (counts.total * allowed.numerator)


@cache
def burn_rate_of(share: float, over: timedelta, window: timedelta) -> float:
    """The burn rate that spends `share` of a budget within `over`: 72 for a tenth of 30 days in 1 h."""
    return float(Fraction(str(share)) * Fraction(window / over))


@cache
def _allowed(target: float) -> Fraction:
    return 1 - Fraction(str(target))


def _burn(counts: Counts, target: float) -> Fraction | None:
    if not counts.total:
        return None
    allowed = _allowed(target)
    if not allowed:
        # A target of 100 % has no budget: any failure spends all of it at once.
        return Fraction(min(counts.bad, 1))
    return Fraction(counts.bad, counts.total) / allowed
