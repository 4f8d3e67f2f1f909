"""What a rule asks for, from a list of events: a rule file's tests, a backtest, a simulation."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from kokino.alerts.model import fingerprint
from kokino.alerts.observe import Labels, Moment, View, bears, distinct
from kokino.alerts.received import Told
from kokino.alerts.rule import AlertRule
from kokino.clock import EPOCH, MILLISECOND
from kokino.slo.model import SloId
from kokino.telemetry.model import (
    BAD_ENDS,
    END_STATES,
    GOOD_ENDS,
    JUDGED,
    PROBE,
    Counts,
    Event,
    EventType,
    Memory,
    Scope,
    totals_of,
)

_HOUR = timedelta(hours=1)
_NEVER = EPOCH.replace(year=9999)


@dataclass(slots=True)
class _Series:
    """Some of the events, with running sums of what each counts for."""

    #: The place of each event in the whole timeline.
    numbers: Sequence[int]
    times: Sequence[datetime]
    sums: tuple[Sequence[int], ...]

    def span(self, since: datetime, until: datetime) -> tuple[int, int]:
        """The places of those in [since, until)."""
        return bisect_left(self.times, since), bisect_left(self.times, until)

    def summed(self, since: datetime, until: datetime) -> list[int]:
        """What those in [since, until) come to."""
        first, after = self.span(since, until)
        return [column[after] - column[first] for column in self.sums]


#: What an event counts for; None where it does not.
Judge = Callable[[Event], tuple[int, ...] | None]
#: The place of an event in the whole timeline, the event, and what it counts for.
_Judged = tuple[int, Event, tuple[int, ...]]


class Timeline:
    """A `Source` over events in whatever order; of two at one instant the later told is the later."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.events = sorted(events, key=lambda event: (event.at, event.event_id or 0))
        self._judged: dict[Hashable, list[_Judged]] = {}
        self._series: dict[Hashable, _Series] = {}
        self._owners: dict[Collection[str], frozenset[tuple[str, str]]] = {}
        self._runs = _by_hour(self.events)
        self._said = _by_fingerprint(self.events)

    def counts(self, view: View, since: datetime, until: datetime, labels: Labels) -> Counts:
        good, bad = self._counted(view, labels).summed(since, until)
        return Counts(good=good, bad=bad)

    def probes(self, since: datetime, until: datetime, labels: Labels) -> Counts:
        def judge(event: Event) -> tuple[int, ...] | None:
            if event.label != PROBE or event.type not in END_STATES:
                return None
            return int(event.is_good), int(event.is_bad)

        good, bad = self._of("probes", labels, judge, 2).summed(since, until)
        return Counts(good=good, bad=bad)

    def memory(self, since: datetime, until: datetime, labels: Labels) -> Memory:
        def judge(event: Event) -> tuple[int, ...] | None:
            peaks = totals_of(event).memory if event.is_counted else Memory()
            return (peaks.within, peaks.over, peaks.sum_mb) if peaks.count else None

        within, over, sum_mb = self._of("memory", labels, judge, 3).summed(since, until)
        return Memory(within=within, over=over, sum_mb=sum_mb)

    def how_many(self, types: Collection[str], since: datetime, until: datetime, labels: Labels) -> int:
        first, after = self._typed(types, labels, probes=False).span(since, until)
        return after - first

    def last(self, types: Collection[str], until: datetime, labels: Labels) -> Moment | None:
        series = self._typed(types, labels, probes=False)
        place = bisect_left(series.times, until) - 1
        return None if place < 0 else Moment(series.times[place], series.numbers[place])

    def message(self, moment: Moment) -> str | None:
        return self.events[moment.number].message

    def running(self, until: datetime, labels: Labels) -> Sequence[datetime]:
        last = until - MILLISECOND
        return sorted(
            started
            for started, ended, event in self._runs.get(_hour(last), ())
            if started < until <= ended and bears(labels, *_owner(event))
        )

    def first_at(
        self, types: Collection[str], since: datetime, until: datetime, labels: Labels, *, probes: bool
    ) -> datetime | None:
        series = self._typed(types, labels, probes=probes)
        first, after = series.span(since, until)
        return series.times[first] if first < after else None

    def told(self, labels: Labels, until: datetime) -> Told | None:
        said = self._said.get(fingerprint("", labels), ())
        return next((one for one in reversed(said) if one.at < until), None)

    def bearers(self, rule: AlertRule, until: datetime) -> Sequence[Labels]:
        if (received := rule.received) is not None:
            told = (self.told(said[0].labels, until) for _, said in sorted(self._said.items()))
            firing = [one.labels for one in told if one is not None and one.is_firing]
            return [labels for labels in firing if received.fits(labels)]
        if not rule.by:
            return [{}]
        types = rule.begun_by() or frozenset(END_STATES)
        if types not in self._owners:
            self._owners[types] = frozenset(
                _owner(event) for event in self.events if event.type in types and event.label is None
            )
        return distinct(rule, self._owners[types])

    def _counted(self, view: View, labels: Labels) -> _Series:
        scope = {SloId.CORRECTNESS: Scope.SHADOW, SloId.INTEGRITY: Scope.CHECKS}.get(view.slo)
        if scope is not None:
            return self._of(view, {}, lambda event: _judged(event, scope), 2)
        return self._of(view, labels, lambda event: _execution(event, view), 2)

    def _typed(self, types: Collection[str], labels: Labels, *, probes: bool) -> _Series:
        asked = frozenset(map(str, types))

        def judge(event: Event) -> tuple[int, ...] | None:
            is_asked = event.type in asked and (event.label is None or (probes and event.label == PROBE))
            return () if is_asked else None

        return self._of((asked, probes), labels, judge, 0)

    def _of(self, name: Hashable, labels: Labels, judge: Judge, width: int) -> _Series:
        """The events that `judge` counts, for these labels; made once."""
        key = (name, tuple(sorted(labels.items())))
        if key not in self._series:
            found = self._all_of(name, judge)
            if labels:
                found = [one for one in found if bears(labels, *_owner(one[1]))]
            self._series[key] = _Series(
                numbers=[number for number, _, _ in found],
                times=[event.at for _, event, _ in found],
                sums=tuple(
                    list(accumulate((counted[place] for _, _, counted in found), initial=0))
                    for place in range(width)
                ),
            )
        return self._series[key]

    def _all_of(self, name: Hashable, judge: Judge) -> list[_Judged]:
        """Those of all agents and CLI types: each event is judged once, however many of them there are."""
        if name not in self._judged:
            self._judged[name] = [
                (number, event, counted)
                for number, event in enumerate(self.events)
                if (counted := judge(event)) is not None
            ]
        return self._judged[name]


def _owner(event: Event) -> tuple[str, str]:
    return event.agent_id or "", event.cli_type or ""


def _judged(event: Event, scope: Scope) -> tuple[int, ...] | None:
    if event.label is not None or event.type not in JUDGED[scope]:
        return None
    summed = totals_of(event)
    return summed.good, summed.bad


def _execution(event: Event, view: View) -> tuple[int, ...] | None:
    """Good and bad as the database counts them."""
    if not event.is_counted:
        return None
    if view.slo is SloId.RESOURCES:
        peaks = totals_of(event).memory
        return peaks.within, peaks.over
    if view.within is None:
        return int(event.is_good), int(event.is_bad)
    if event.duration_ms is None or event.type not in GOOD_ENDS | BAD_ENDS:
        return None
    is_quick = event.duration_ms <= view.within // MILLISECOND
    return int(is_quick), int(not is_quick)


def _by_fingerprint(events: Iterable[Event]) -> dict[str, list[Told]]:
    """What was said of each alert of others, in order."""
    found: dict[str, list[Told]] = defaultdict(list)
    for event in events:
        if event.type == EventType.ALERT_RECEIVED and event.data is not None:
            told = Told.from_data(event.data, event.at)
            found[told.fingerprint].append(told)
    return found


def _by_hour(events: Iterable[Event]) -> dict[int, list[tuple[datetime, datetime, Event]]]:
    """Users' executions by each hour in which they ran, for what still runs at an instant is asked often."""
    begun: dict[str, Event] = {}
    runs: list[tuple[datetime, datetime, Event]] = []
    last = EPOCH
    for event in events:
        last = event.at
        if event.execution_id is None or event.label is not None:
            continue
        if event.type == EventType.EXECUTION_STARTED:
            begun[event.execution_id] = event
        elif event.type in END_STATES and (start := begun.pop(event.execution_id, None)) is not None:
            runs.append((start.at, event.at, start))
    runs += [(start.at, _NEVER, start) for start in begun.values()]
    hours: dict[int, list[tuple[datetime, datetime, Event]]] = defaultdict(list)
    # Beyond the last event somebody may still look, for as long as the longest window.
    horizon = _hour(last) + LOOK_ON
    for run in runs:
        for hour in range(_hour(run[0]), min(_hour(run[1]), horizon) + 1):
            hours[hour].append(run)
    return hours


#: Hours after the last event in which what never ended is still known to run: 40 days, more than any window.
LOOK_ON = 40 * 24


def _hour(at: datetime) -> int:
    return (at - EPOCH) // _HOUR
