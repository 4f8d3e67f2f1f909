"""What ``/metrics`` would show of a list of events, instant by instant: input for promtool's unit tests.

The sums are those of the rollups, event by event, and the text's own collectors make the samples of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from prometheus_client.core import GaugeMetricFamily, Metric

from kokino.exports.counters import TURN_AGE
from kokino.telemetry.exposition import Executions, Snapshot
from kokino.telemetry.latest_store import Latest
from kokino.telemetry.model import END_STATES, Counts, Event, EventType, Running, Scope, Totals, totals_of
from kokino.telemetry.rule_metrics import LEVELS, Known, RuleMetrics, ages, raised

#: A series: its metric's name and its labels, in their order.
Series = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class Ledger:
    """Everything that a broker's database would know after some events."""

    ever: dict[str, Totals] = field(default_factory=dict)
    judged: dict[Scope, Counts] = field(default_factory=dict)
    latest: dict[tuple[str, str, str], Latest] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)

    def add(self, event: Event, number: int) -> None:
        """Take in the next event; `number` tells which of two at one instant is the later."""
        if event.label is not None:
            return
        self._note(event, number)
        if event.is_counted:
            cli_type = event.cli_type or ""
            self.ever[cli_type] = self.ever.get(cli_type, Totals()) + totals_of(event)
        for scope in event.scopes.keys() & {Scope.SHADOW, Scope.CHECKS}:
            self.judged[scope] = self.judged.get(scope, Counts()) + totals_of(event).counts
        self._run(event)

    def samples(self, now: datetime) -> dict[Series, float]:
        """All that a scrape at `now` shows."""
        known = Known(
            ever=self.ever,
            comparisons=self.judged.get(Scope.SHADOW, Counts()),
            conversations=self.judged.get(Scope.CHECKS, Counts()),
            raised={level.name: raised(level, self.latest.values()) for level in LEVELS},
            ages=ages(self.running.values(), now),
        )
        shown = Snapshot(availability=None, latency_p95_ms=None, ever=self.ever, rules=known)
        own = GaugeMetricFamily(TURN_AGE, "In a test all rules were looked at just now.", value=0)
        return dict(_samples([*Executions(shown).collect(), *RuleMetrics(known).collect(), own]))

    def _note(self, event: Event, number: int) -> None:
        agent_id, cli_type = event.agent_id or "", event.cli_type or ""
        self.latest[event.type, agent_id, cli_type] = Latest(
            at=event.at, event_id=number, type=event.type, agent_id=agent_id, cli_type=cli_type
        )

    def _run(self, event: Event) -> None:
        if event.execution_id is None:
            return
        if event.type == EventType.EXECUTION_STARTED:
            self.running[event.execution_id] = Running(
                started_at=event.at, agent_id=event.agent_id or "", cli_type=event.cli_type or ""
            )
        elif event.type in END_STATES:
            self.running.pop(event.execution_id, None)


def scrapes(events: Iterable[Event], instants: Sequence[datetime]) -> Iterator[dict[Series, float]]:
    """What a scrape at each of `instants` shows, with every event up to that instant."""
    ahead = sorted(events, key=lambda event: event.at)
    ledger, taken = Ledger(), 0
    shown: dict[Series, float] | None = None
    for now in instants:
        before = taken
        while taken < len(ahead) and ahead[taken].at <= now:
            ledger.add(ahead[taken], taken)
            taken += 1
        if shown is None or taken > before or ledger.running:
            shown = ledger.samples(now)
        yield shown


def _samples(families: Iterable[Metric]) -> Iterator[tuple[Series, float]]:
    for family in families:
        for sample in family.samples:
            yield (sample.name, tuple(sorted(sample.labels.items()))), sample.value


def every(length: timedelta, since: datetime, until: datetime) -> list[datetime]:
    """The instants of a grid, from `since` up to and with `until`."""
    return [since + number * length for number in range((until - since) // length + 1)]
