"""When can a verdict change with time alone? All else comes with an event, which wakes the engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from kokino.alerts.conditions import (
    Burn,
    Condition,
    Count,
    Lower,
    Mean,
    OfLevel,
    Quiet,
    Rate,
    Received,
    Recovered,
    Timer,
    long_window,
)
from kokino.alerts.gate import fewest_failures
from kokino.alerts.model import Alert, Phase
from kokino.alerts.observe import Labels, Measurements, Source, View, view_of, window_start, windows
from kokino.alerts.rule import COUNTED, AlertRule, NoData
from kokino.clock import MILLISECOND
from kokino.slo.model import Objective, SloId
from kokino.telemetry.model import BAD_ENDS

#: With steady traffic something leaves a window all the time. Looking again this often is enough: a minute to
#: notice that the good ones have left, a second to notice that the bad ones have.
SOONEST_FIRING = timedelta(minutes=1)
SOONEST_RESOLVE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One alert after a look at it: when to look again if nothing happens before."""

    rule: AlertRule
    #: That of the rule's service level, if it has one.
    objective: Objective | None
    alert: Alert
    source: Source
    labels: Labels
    #: What the look counted, with the windows that the alert has now.
    measured: Measurements
    #: True where a condition holds and the resolve condition does too: it does not fire while that is so.
    is_over: bool
    now: datetime

    def due_at(self) -> datetime | None:
        """The earliest instant to look again; None while only an event can change anything."""
        instants: Iterable[datetime]
        match self.alert.state:
            case Phase.FIRING:
                instants, soonest = self._may_clear(), SOONEST_RESOLVE
            case Phase.PENDING:
                instants, soonest = chain(self._may_stop(), self._may_clear()), SOONEST_RESOLVE
            case _ if self.is_over:
                instants, soonest = chain(self._may_fire(), self._proof_leaves()), SOONEST_FIRING
            case _:
                instants, soonest = self._may_fire(), SOONEST_FIRING
        exact = (at for at in self._timers() if at > self.now)
        rounded = _first_of(instants, self.now + soonest)
        return min((*rounded, *exact), default=None)

    def _timers(self) -> Iterator[datetime]:
        """What is due at an instant of its own, to the millisecond."""
        rule, alert = self.rule, self.alert
        for part in rule.conditions:
            if isinstance(part, Timer) and part.id in self.measured.since:
                yield self.measured.since[part.id] + part.after
            if isinstance(part, Received) and part.id in self.measured.told:
                yield self.measured.told[part.id].at + part.expires
        if alert.state is Phase.FIRING and alert.clear_at is not None:
            yield alert.clear_at + rule.resolve.hold
        if alert.state is Phase.PENDING and alert.pending_at is not None:
            yield alert.pending_at + rule.pending_for
        if rule.no_data is NoData.ALERT and alert.windows_from is not None:
            # Until then silence may only mean that the window is short.
            whole = (long_window(part) for part in rule.conditions if isinstance(part, OfLevel | Mean))
            yield from (alert.windows_from + length for length in whole)
        yield from self._become_slow()

    def _become_slow(self) -> Iterator[datetime]:
        """One that still runs is a slow one from just after its threshold."""
        if self.objective is None:
            return
        thresholds = {view.within for view, _ in windows(self.rule, self.objective)} - {None}
        for start in self.source.running(self.now + MILLISECOND, self.labels) if thresholds else ():
            yield from (start + within + MILLISECOND for within in thresholds if within is not None)

    def _may_fire(self) -> Iterator[datetime]:
        """Good ones leave a window that still holds enough bad ones; small ones leave a mean."""
        for condition in self.rule.conditions:
            if isinstance(condition, Mean):
                yield from self._leave(condition)
            elif isinstance(condition, OfLevel) and self.objective is not None:
                view = view_of(self.objective, condition)
                yield from self._good_leave(condition, view, long_window(condition))
                if isinstance(condition, Burn):
                    yield from self._good_leave(condition, view, condition.short)

    def _good_leave(self, condition: OfLevel, view: View, window: timedelta) -> Iterator[datetime]:
        counts, long = (self.measured.counts[view, length] for length in (window, long_window(condition)))
        is_silence_bad = self.rule.no_data is NoData.ALERT and counts.total > 0
        is_near = counts.good > 0 and counts.bad > 0 and long.bad >= self._fewest(condition)
        if is_silence_bad or is_near:
            yield from self._first(COUNTED[view.slo], window)

    def _fewest(self, condition: OfLevel) -> int:
        """The fewest bad ones with which the condition can hold at all."""
        asked = condition.min_bad if isinstance(condition, Rate) else 1
        if self.rule.p is None or condition.alpha is None:
            return asked
        return max(asked, fewest_failures(p=self.rule.p, alpha=condition.alpha))

    def _may_stop(self) -> Iterator[datetime]:
        """What makes a condition hold leaves its window."""
        for condition in self.rule.conditions:
            yield from self._leave(condition)

    def _may_clear(self) -> Iterator[datetime]:
        match self.rule.resolve:
            case Quiet():
                yield from self._may_stop()
            case Lower() as resolve:
                yield from self._first(COUNTED[SloId.RESOURCES], resolve.window)
            case Recovered() as resolve:
                yield from self._failure_leaves(resolve)
        if self.alert.clear_at is not None and self.rule.resolve.hold:
            # It must hold without a break.
            yield from self._proof_leaves()

    def _proof_leaves(self) -> Iterator[datetime]:
        """The successes that prove a recovery leave its window."""
        resolve = self.rule.resolve
        if self.rule.slo is not None and not isinstance(resolve, Quiet):
            probes = self.rule.slo is SloId.AVAILABILITY
            yield from self._first(COUNTED[self.rule.slo], resolve.window, probes=probes)

    def _failure_leaves(self, resolve: Recovered) -> Iterator[datetime]:
        slo = self.rule.slo
        if slo is SloId.AVAILABILITY:
            bad = [*self._first(BAD_ENDS, resolve.window, probes=True)]
            yield from bad
            if bad or self.rule.no_data is not NoData.OK:
                return
        if slo is not None:
            yield from self._first(COUNTED[slo], resolve.window)

    def _leave(self, condition: Condition) -> Iterator[datetime]:
        """When the first of what a condition counts is no longer in one of its windows."""
        match condition:
            case Count():
                yield from self._first(frozenset(condition.of), condition.window)
            case Mean():
                yield from self._first(COUNTED[SloId.RESOURCES], condition.window)
            case Burn() if self.rule.slo is not None:
                yield from self._first(COUNTED[self.rule.slo], condition.long)
                yield from self._first(COUNTED[self.rule.slo], condition.short)
            case _ if isinstance(condition, OfLevel) and self.rule.slo is not None:
                yield from self._first(COUNTED[self.rule.slo], long_window(condition))

    def _first(self, types: frozenset[str], window: timedelta, *, probes: bool = False) -> Iterator[datetime]:
        """When the first of these events leaves its window, if there is one."""
        since = window_start(self.now, window, self.alert.windows_from)
        first = self.source.first_at(types, since, self.now + MILLISECOND, self.labels, probes=probes)
        if first is not None:
            yield first + window


def _first_of(instants: Iterable[datetime], soonest: datetime) -> Iterator[datetime]:
    """The first of them, and not before `soonest`: once that is reached, no more are asked for."""
    found: datetime | None = None
    for at in instants:
        if at <= soonest:
            yield soonest
            return
        found = at if found is None else min(found, at)
    if found is not None:
        yield found
