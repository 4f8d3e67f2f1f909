"""Durations in buckets that grow by 2^(1/32), with exact edges where somebody asks "how many within".

A bucket holds the durations above the edge before it, up to and including its own, in whole milliseconds. It
is named by its own edge: one more exact edge splits a bucket and leaves what was counted before true.

The error of a quantile: never below the true one, and above it by at most 2^(1/32) - 1 = 2.2 %, or 1 ms.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

#: Buckets to each doubling of the duration.
PER_DOUBLING = 32
#: 2^36 ms is two years; longer ones count as this long.
DOUBLINGS = 36
#: Edges at which counts are exact, in ms: 30 s is the latency objective, 60 s its alert's
#: threshold, the others are the buckets that Prometheus is given.
EXACT_EDGES = (
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    1_800_000,
)

#: Upper edge of every bucket, ascending.
EDGES: tuple[int, ...] = tuple(
    sorted(
        {math.ceil(2 ** (i / PER_DOUBLING)) for i in range(DOUBLINGS * PER_DOUBLING + 1)} | set(EXACT_EDGES)
    )
)


def edge_of(duration_ms: int) -> int:
    """The edge of the bucket that a duration falls in."""
    return EDGES[min(bisect_left(EDGES, duration_ms), len(EDGES) - 1)]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many durations fell in each bucket, and the longest of them."""

    #: {upper edge in ms: count}; empty buckets are left out.
    counts: Mapping[int, int] = field(default_factory=dict)
    #: The longest duration itself, 0 without any.
    max_ms: int = 0

    @classmethod
    def of(cls, durations_ms: Iterable[int]) -> Histogram:
        """The histogram of these durations; below zero counts as zero."""
        durations = [max(0, duration) for duration in durations_ms]
        return cls(dict(Counter(map(edge_of, durations))), max(durations, default=0))

    @property
    def count(self) -> int:
        """How many durations there are."""
        return sum(self.counts.values())

    def within(self, limit_ms: int) -> int:
        """How many took at most `limit_ms`; exact for `EXACT_EDGES`, else never too many."""
        return sum(count for edge, count in self.counts.items() if edge <= limit_ms)

    def above(self, limit_ms: int) -> int:
        """How many took longer than `limit_ms`; exact for `EXACT_EDGES`, else never too few."""
        return self.count - self.within(limit_ms)

    def quantile(self, q: float) -> int | None:
        """The duration in ms that a share `q` (above 0, up to 1) did not exceed; None without any.

        It is the edge of the bucket that holds the observation of rank ceil(q * count), or the longest one if
        that is less: so ``quantile(.95) <= 30_000`` says exactly that 95 % were within 30 s.
        """
        if not 0 < q <= 1:
            raise ValueError(f"a quantile is above 0 and at most 1, got {q}")
        # Rounded first: 0.95 * 20 is 19.000000000000004 for some q, and must be rank 19.
        rank = math.ceil(round(q * self.count, 9))
        seen = 0
        for edge, count in sorted(self.counts.items()):
            seen += count
            if seen >= rank:
                return min(edge, self.max_ms)
        return None

    def __add__(self, other: Histogram) -> Histogram:
        counts = dict(self.counts)
        for edge, count in other.counts.items():
            counts[edge] = counts.get(edge, 0) + count
        return Histogram(counts, max(self.max_ms, other.max_ms))

    def to_document(self) -> dict[str, int]:
        """The counts as JSON wants them."""
        return {str(edge): count for edge, count in sorted(self.counts.items())}

    @classmethod
    def from_document(cls, document: Mapping[str, int], max_ms: int) -> Histogram:
        """Back from `to_document`."""
        return cls({int(edge): count for edge, count in document.items()}, max_ms)
