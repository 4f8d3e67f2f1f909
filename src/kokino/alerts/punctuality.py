"""How often each rule was looked at, how often that failed, and how late, since the broker started."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from prometheus_client import Counter, Histogram
from prometheus_client.core import Metric

#: Upper edges in seconds. A rule that is looked at a minute late pages a minute late.
EDGES = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300)


class Punctuality:
    """Counters by rule; all are shown from the start, with zeros."""

    def __init__(self, rules: Collection[str]) -> None:
        self._looks = Counter(
            "kokino_alert_evaluations", "Looks at an alert rule since the start.", ["rule"], registry=None
        )
        self._failures = Counter(
            "kokino_alert_evaluation_failures",
            "Looks at an alert rule that failed since the start: its alerts were not judged.",
            ["rule"],
            registry=None,
        )
        self._delay = Histogram(
            "kokino_alert_evaluation_delay_seconds",
            "How late rules were looked at that were due at an instant.",
            buckets=EDGES,
            registry=None,
        )
        self._turns = Counter(
            "kokino_alert_turns", "Turns of all alert rules since the start.", registry=None
        )
        self._failed_turns = Counter(
            "kokino_alert_turn_failures",
            "Turns of all alert rules that failed since the start, in a look or before any.",
            registry=None,
        )
        #: When every rule that was due was last looked at without a failure, and when it last went otherwise.
        self.done_at: datetime | None = None
        self.failed_at: datetime | None = None
        for rule in rules:
            self._looks.labels(rule)
            self._failures.labels(rule)

    @contextmanager
    def turn(self, now: datetime) -> Iterator[None]:
        """All rules have their turn; what one of them raises is noted, and goes on."""
        self._turns.inc()
        try:
            yield
        except BaseException:  # the engine's patience ends a turn by cancelling it
            self.failed_at = now
            self._failed_turns.inc()
            raise
        self.done_at = now

    def age(self, now: datetime) -> timedelta | None:
        """How long ago all rules that were due were last looked at without a failure; None for never."""
        return None if self.done_at is None else max(now - self.done_at, timedelta())

    def fault_since(self, since: datetime | None) -> str | None:
        """Why nobody would have been paged since then, or the start; None where all rules were looked at."""
        if self.failed_at is not None and (since is None or self.failed_at > since):
            return "a look at the alert rules has failed"
        if self.done_at is None or (since is not None and self.done_at <= since):
            return "the alert rules were not looked at"
        return None

    def late_by(self, delay: timedelta) -> None:
        """The turn of a rule has come that was due so long ago."""
        self._delay.observe(delay.total_seconds())

    @contextmanager
    def look(self, rule: str) -> Iterator[None]:
        """A look at a rule; what it raises is counted, and goes on."""
        self._looks.labels(rule).inc()
        with self._failures.labels(rule).count_exceptions():
            yield

    def collect(self) -> Iterator[Metric]:
        """As metric families."""
        for one in (self._looks, self._failures, self._turns, self._failed_turns, self._delay):
            yield from one.collect()
