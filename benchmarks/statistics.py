"""Medians, percentiles, and how far they are to be trusted."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from kokino.alerts.gate import tail

T = TypeVar("T")

#: Resamples for one interval: its edges then move by less than they tell.
RESAMPLES = 2_000
#: Resamples outside the interval, on each side.
OUTSIDE = 0.025
#: The same samples give the same interval.
SEED = 20260105


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate, and the 95 % interval around it."""

    value: float
    low: float
    high: float


def quantile(values: Sequence[float], q: float) -> float:
    """The value that a share `q` (above 0, up to 1) does not exceed: the one of rank ceil(q * count)."""
    return sorted(values)[max(0, math.ceil(round(q * len(values), 9)) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle one; of an even number, the lower of the two."""
    return quantile(values, 0.5)


def p95(values: Sequence[float]) -> float:
    """The value that 95 of 100 do not exceed."""
    return quantile(values, 0.95)


def bootstrap(rounds: Sequence[T], estimate: Callable[[Sequence[T]], float]) -> Interval:
    """`estimate` of the rounds, with the percentile interval of what resampled rounds give.

    Whole rounds are drawn, so what was measured side by side stays side by side.
    """
    dice = random.Random(SEED)  # noqa: S311 - draws samples, guards nothing
    found = [estimate(dice.choices(rounds, k=len(rounds))) for _ in range(RESAMPLES)]
    return Interval(value=estimate(rounds), low=quantile(found, OUTSIDE), high=quantile(found, 1 - OUTSIDE))


def proportion(hits: int, count: int) -> Interval:
    """A share of trials, with the exact interval of Clopper and Pearson: 0 of 1,000 may be 0.37 %."""
    low = _solved(lambda p: tail(hits, count, p) - OUTSIDE) if hits else 0.0
    high = _solved(lambda p: OUTSIDE - 1 + tail(hits + 1, count, p)) if hits < count else 1.0
    return Interval(value=hits / count, low=low, high=high)


def _solved(rising: Callable[[float], float]) -> float:
    """Where a function of a share turns from negative to positive."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return high
