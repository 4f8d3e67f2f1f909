"""The best that any rule can do: the most powerful test, computed exactly.

Somebody who knows when the day begins and ends, and which share would fail, weighs all that ran in it. No
rule that watches it pages more surely at the same rate of false pages, for no test does (Neyman and Pearson,
1933).
"""

from __future__ import annotations

import math
from collections.abc import Iterator


def missed(*, mean: float, kept: float, broken: float, false_alarms: float) -> float:
    """Probability that the most powerful test misses a day on which a share `broken` of executions fails.

    Their number is Poisson with `mean`. On a day on which only a share `kept` fails the test says so by
    mistake with probability `false_alarms`.
    """
    left, found = false_alarms, 0.0
    for if_kept, if_broken in sorted(_outcomes(mean, kept, broken), key=lambda each: each[0] / each[1]):
        # The last one is let through by a throw of dice, as the theorem has it.
        share = min(1.0, left / if_kept)
        left, found = left - share * if_kept, found + share * if_broken
        if left <= 0:
            break
    return max(0.0, 1.0 - found)


def _outcomes(mean: float, kept: float, broken: float) -> Iterator[tuple[float, float]]:
    """The probabilities of each number of good and of bad executions, on a kept and on a broken day."""
    # Beyond twelve standard deviations there is nothing that counts.
    most = int(mean + 12 * math.sqrt(mean)) + 20
    for total in range(most):
        for bad in range(total + 1):
            good = total - bad
            ways = math.exp(total * math.log(mean) - mean - math.lgamma(good + 1) - math.lgamma(bad + 1))
            if_broken = ways * broken**bad * (1 - broken) ** good
            if if_broken > 0:
                yield ways * kept**bad * (1 - kept) ** good, if_broken
