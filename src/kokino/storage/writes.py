"""How the one writer fares: what waits for it, and how long it takes."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Counter, Histogram
from prometheus_client.core import Metric

#: Upper edges in seconds. An fsync of a good disk takes about 1 ms, of a busy one 100.
EDGES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Writes:
    """Counted by the writer's thread, read by whoever is asked for metrics."""

    def __init__(self) -> None:
        self.commits = Histogram(
            "kokino_storage_commit_seconds",
            "How long transactions took, from their begin to the end of their commit.",
            buckets=EDGES,
            registry=None,
        )
        self.writes = Counter(
            "kokino_storage_writes", "Writes that were answered; many may share a commit.", registry=None
        )
        self.failures = Counter(
            "kokino_storage_commit_failures", "Transactions that could not be committed.", registry=None
        )

    def collect(self) -> Iterator[Metric]:
        """As metric families."""
        yield from self.commits.collect()
        yield from self.writes.collect()
        yield from self.failures.collect()
