"""Does a tree's memory grow and grow, or is it a big job? Standard library only: the warden asks.

The slope is Theil and Sen's, the median of the slopes between all pairs of samples: up to 29 % of the samples
may be anything (a start, a peak, a collection of garbage) and it stays what it is. Whether it is more than
noise tells Mann and Kendall's test. A job that takes a lot and keeps it grows in the older half of the window
and not in the newer one; a leak grows in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import sqrt
from statistics import median

#: Words for what is known.
GROWING, STEADY, UNKNOWN = "growing", "steady", "unknown"
#: The longest window, in seconds: nobody wants to know what an hour ago was.
LONGEST = 1800.0
#: Samples that are kept, spread over the window; with so many a look takes a fraction of a millisecond.
MOST = 40
#: Too little for a verdict: fewer samples, or a shorter window in seconds.
FEWEST, SHORTEST = 12, 60.0
#: Growth that is worth a word, per minute: in bytes, and as a part of what the tree takes.
LEAST_BYTES, LEAST_SHARE = 5e6, 0.01
#: How many standard deviations the order of the samples must be away from chance (one in a thousand).
SURE = 3.0

#: Seconds on any steady clock, and bytes.
Point = tuple[float, float]


class Window:
    """The samples of one tree, thinned out as they become many, so that they reach far back."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self._spacing = 0.0
        #: Bytes per second and the word; see `judge`.
        self.verdict: tuple[float | None, str] = (None, UNKNOWN)

    def add(self, seconds: float, taken: int) -> None:
        """Take a sample; one that comes too soon after the last is passed over."""
        if self.points and seconds - self.points[-1][0] < self._spacing:
            return
        self.points = [point for point in self.points if seconds - point[0] <= LONGEST]
        self.points.append((seconds, float(taken)))
        if len(self.points) > MOST:
            self.points = self.points[::2]
            span = self.points[-1][0] - self.points[0][0]
            self._spacing = 0.9 * span / (len(self.points) - 1)
        self.verdict = judge(self.points)

    @property
    def mb_per_minute(self) -> float | None:
        """How fast it grows, in MB (1,000,000 bytes) per minute; None while there is too little to tell."""
        slope = self.verdict[0]
        return None if slope is None else round(slope * 60 / 1e6, 1)


def judge(points: Sequence[Point]) -> tuple[float | None, str]:
    """The slope in bytes per second, with the word for it; None with too few samples, or too short a time."""
    if len(points) < FEWEST or points[-1][0] - points[0][0] < SHORTEST:
        return None, UNKNOWN
    slope = theil_sen(points)
    least = max(LEAST_BYTES, LEAST_SHARE * median(taken for _, taken in points)) / 60
    newer = points[len(points) // 2 :]
    grows = slope >= least and theil_sen(newer) >= least and order(points) >= SURE
    return slope, GROWING if grows else STEADY


def theil_sen(points: Sequence[Point]) -> float:
    """The median of the slopes between all pairs of samples that were not taken at the same time."""
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if b[0] > a[0]]
    return median(slopes) if slopes else 0.0


def order(points: Sequence[Point]) -> float:
    """How far from chance it is that later samples are the larger ones, in standard deviations."""
    count = len(points)
    score = sum((b[1] > a[1]) - (b[1] < a[1]) for a, b in combinations(points, 2))
    return score / sqrt(count * (count - 1) * (2 * count + 5) / 18)
