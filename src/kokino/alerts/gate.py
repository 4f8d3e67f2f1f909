"""The evidence gate: do failures say that the SLO is broken, or could they be chance?

With little traffic a rate proves nothing: one failure in three is 67 % available, and happens now and then to
a fleet that keeps 99.5 %. So a rate pages only when so many failures, or more, would come by chance with a
probability of at most alpha if just the share p failed: the exact upper tail of the binomial distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from kokino.telemetry.model import Counts

#: Terms this much smaller than the sum no longer change it.
NEGLIGIBLE = 1e-18


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Whether failures are improbable enough, and how improbable they are."""

    is_enough: bool
    #: Probability of as many failures, or more, under the SLO.
    chance: float


def weigh(counts: Counts, *, p: float, alpha: float) -> Evidence:
    """Are the bad ones of `counts` more than chance, if a share `p` fails?"""
    chance = tail(counts.bad, counts.total, p)
    return Evidence(is_enough=counts.bad > 0 and chance <= alpha, chance=chance)


def tail(k: int, n: int, p: float) -> float:
    """P(X >= k) for X ~ Binomial(n, p), with a relative error under 1e-8 for n up to 1e6."""
    if not 0 < p < 1:
        raise ValueError(f"p is above 0 and below 1, got {p}")
    if k <= 0:
        return 1.0
    if k > n:
        return 0.0
    # Summed away from the mean: terms only shrink, and one that underflows takes nothing noticeable with it.
    if k > n * p:
        return min(1.0, _sum(k, n, p, step=1))
    return max(0.0, 1.0 - _sum(k - 1, n, p, step=-1))


def fewest_failures(*, p: float, alpha: float) -> int:
    """The fewest failures that can ever be enough: that many in as many executions."""
    return math.ceil(math.log(alpha) / math.log(p))


def _sum(first: int, n: int, p: float, *, step: int) -> float:
    """The terms from `first` in the direction `step`, until they no longer matter."""
    term = math.exp(_log_term(first, n, p))
    total, i = 0.0, first
    while term > total * NEGLIGIBLE and 0 <= i <= n:
        total += term
        term *= (n - i) / (i + 1) * p / (1 - p) if step > 0 else i / (n - i + 1) * (1 - p) / p
        i += step
    return total


def _log_term(k: int, n: int, p: float) -> float:
    """log P(X = k)."""
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return ways + k * math.log(p) + (n - k) * math.log1p(-p)
