"""What became of deliveries, counted since the broker started: their rows do not stay for ever."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from prometheus_client import Counter
from prometheus_client.core import Metric

from kokino.notify.model import DeliveryState, Outcome, Reason, Receipt

#: What a delivery can come to.
ENDS = (DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.UNCERTAIN, DeliveryState.CANCELLED)


class Tally:
    """Counters by receiver. Those that are configured are shown from the start, with zeros."""

    def __init__(self, receivers: Collection[str]) -> None:
        self._ends = Counter(
            "kokino_deliveries",
            "Deliveries that ended since the broker started, by receiver and how.",
            ["receiver", "outcome"],
            registry=None,
        )
        self._attempts = Counter(
            "kokino_delivery_attempts",
            "Attempts to deliver since the broker started.",
            ["receiver"],
            registry=None,
        )
        self._failures = Counter(
            "kokino_delivery_attempt_failures",
            "Attempts that were not accepted since the broker started, by receiver and reason.",
            ["receiver", "reason"],
            registry=None,
        )
        for receiver in receivers:
            self._begin(receiver)

    def attempted(self, receiver: str, receipt: Receipt) -> None:
        """An attempt has ended."""
        self._attempts.labels(receiver).inc()
        if receipt.outcome is not Outcome.ACCEPTED:
            self._failures.labels(receiver, receipt.reason.value).inc()

    def ended(self, receiver: str, state: DeliveryState) -> None:
        """A delivery has; one that is tried again has not."""
        if state in ENDS:
            self._ends.labels(receiver, state.value).inc()

    def collect(self) -> Iterator[Metric]:
        """As metric families."""
        for counter in (self._ends, self._attempts, self._failures):
            yield from counter.collect()

    def _begin(self, receiver: str) -> None:
        self._attempts.labels(receiver)
        for state in ENDS:
            self._ends.labels(receiver, state.value)
        for reason in Reason:
            self._failures.labels(receiver, reason.value)
