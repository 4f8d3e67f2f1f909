"""Executions that end by chance, and a rule that watches them, fast enough for centuries of traffic."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

from kokino.alerts.conditions import OfLevel, long_window
from kokino.alerts.gate import weigh
from kokino.alerts.look import look, unseen
from kokino.alerts.model import Alert, Phase, Transition
from kokino.alerts.observe import Labels, Moment, View
from kokino.alerts.received import Told
from kokino.alerts.rehearse import START
from kokino.alerts.rule import AlertRule
from kokino.clock import MILLISECOND
from kokino.slo.defaults import defaults
from kokino.telemetry.model import BAD_ENDS, Counts, Memory

#: In milliseconds.
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass(slots=True)
class Traffic:
    """A `Source` for rules on availability. All times are milliseconds since `START`, in order."""

    #: When each execution ended, good or bad.
    ends: list[int] = field(default_factory=list)
    #: When the bad ones did.
    bads: list[int] = field(default_factory=list)
    #: When each good probe ended.
    good_probes: list[int] = field(default_factory=list)

    def add(self, dice: random.Random, until: int, *, per_hour: float, bad: float) -> None:
        """Go on until `until`: a Poisson stream of which the share `bad` fails."""
        begun, gap = self.ends[-1] if self.ends else 0, per_hour / HOUR
        at = begun + dice.expovariate(gap)
        while at < until:
            self.ends.append(int(at))
            if dice.random() < bad:
                self.bads.append(int(at))
            at += dice.expovariate(gap)

    def counts(self, view: View, since: datetime, until: datetime, labels: Labels) -> Counts:
        bad = _among(self.bads, since, until)
        return Counts(good=_among(self.ends, since, until) - bad, bad=bad)

    def probes(self, since: datetime, until: datetime, labels: Labels) -> Counts:
        return Counts(good=_among(self.good_probes, since, until))

    def first_at(
        self, types: Collection[str], since: datetime, until: datetime, labels: Labels, *, probes: bool
    ) -> datetime | None:
        times = self.bads if BAD_ENDS.issuperset(types) else self.ends
        place = bisect_left(times, ms_of(since))
        return instant(times[place]) if place < bisect_left(times, ms_of(until)) else None

    def bearers(self, rule: AlertRule, until: datetime) -> Sequence[Labels]:
        return [{}]

    # What rules on availability never ask for.

    def memory(self, since: datetime, until: datetime, labels: Labels) -> Memory:
        raise NotImplementedError

    def how_many(self, types: Collection[str], since: datetime, until: datetime, labels: Labels) -> int:
        raise NotImplementedError

    def last(self, types: Collection[str], until: datetime, labels: Labels) -> Moment | None:
        raise NotImplementedError

    def message(self, moment: Moment) -> str | None:
        raise NotImplementedError

    def told(self, labels: Labels, until: datetime) -> Told | None:
        raise NotImplementedError

    def running(self, until: datetime, labels: Labels) -> Sequence[datetime]:
        raise NotImplementedError


@dataclass(slots=True)
class Watch:
    """A rule on availability that watches traffic, through the code that runs in earnest.

    Between two bad executions that are too few to prove anything, nothing is looked at.
    """

    rule: AlertRule
    traffic: Traffic
    #: How long after a page, and again and again, somebody sees for himself: three good probes. None: nobody.
    probed_after: int | None = None
    #: True to look at every execution, as the engine does.
    looks_at_all: bool = False
    alert: Alert = field(init=False)
    looks: int = 0
    _probe_at: int | None = None
    _p: float = 0.0
    #: Windows in milliseconds over which evidence is weighed, and the weakest that is enough.
    _gates: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.alert = unseen(self.rule, {}, now=START, alert_id="alert-1")
        self._p, self._gates = self.rule.p or 0.0, _gates(self.rule)

    def changes(self) -> Iterator[Transition]:
        """Every change of the alert's state, in order."""
        ends, place = self.traffic.ends, 0
        while (found := self._next(place)) is not None:
            # All that end in one millisecond are looked at once.
            place = bisect_right(ends, ends[found], found)
            yield from self._until(ends[found], ends[place] if place < len(ends) else ends[-1] + DAY)

    def _until(self, now: int, before: int) -> Iterator[Transition]:
        """Look at `now`, and at whatever is due by then before the next execution ends."""
        due: int | None = now
        while due is not None and due < before:
            change, next_due = self._look(due)
            if change is not None:
                yield change
            due = min((at for at in (next_due, self._probe(due)) if at is not None), default=None)

    def _look(self, now: int) -> tuple[Transition | None, int | None]:
        self.looks += 1
        name = f"episode-{self.looks}"
        seen = look(self.rule, defaults(), self.alert, self.traffic, now=instant(now), episode_id=name)
        self.alert = seen.reaction.alert
        return seen.reaction.transition, None if seen.due_at is None else ms_of(seen.due_at)

    def _probe(self, now: int) -> int | None:
        """When the next probes end, while the alert fires."""
        if self.probed_after is None or self.alert.state is not Phase.FIRING:
            self._probe_at = None
        elif self._probe_at is None or self._probe_at <= now:
            self._probe_at = now + self.probed_after
            self.traffic.good_probes += [self._probe_at] * 3
        return self._probe_at

    def _next(self, place: int) -> int | None:
        """The next execution, from this one on, at or after which the alert may change."""
        ends, bads = self.traffic.ends, self.traffic.bads
        if place >= len(ends):
            return None
        if self.looks_at_all or self.alert.state is Phase.FIRING:
            return place
        for number in range(max(0, bisect_right(bads, ends[place]) - 1), len(bads)):
            until = bads[number + 1] if number + 1 < len(bads) else ends[-1] + DAY
            if not self._may_fire(bads[number], until):
                continue
            for each in range(max(place, bisect_left(ends, bads[number])), bisect_left(ends, until)):
                if self._may_fire(ends[each], ends[each + 1] if each + 1 < len(ends) else until):
                    return each
        return None

    def _may_fire(self, now: int, before: int) -> bool:
        """Could a condition hold from `now` until `before`, if nothing more fails?

        No more have failed in its window than now, and no fewer ran in it than will be left just before.
        """
        ends, bads = self.traffic.ends, self.traffic.bads
        begin = -1 if self.alert.windows_from is None else ms_of(self.alert.windows_from)
        ended, failed = bisect_right(ends, now), bisect_right(bads, now)
        return any(
            max(0, ended - bisect_right(ends, max(before - length, begin)))
            <= most_that_prove(failed - bisect_right(bads, max(now - length, begin)), self._p, alpha)
            for length, alpha in self._gates.items()
        )


def _gates(rule: AlertRule) -> dict[int, float]:
    """The window in milliseconds over which each condition weighs its evidence, and the largest alpha."""
    found: dict[int, float] = {}
    for condition in rule.conditions:
        if not isinstance(condition, OfLevel) or condition.alpha is None:
            raise TypeError(f"{rule.id} has a condition without a gate: {condition.id}")
        length = long_window(condition) // MILLISECOND
        found[length] = max(found.get(length, 0.0), condition.alpha)
    return found


@cache
def most_that_prove(failed: int, p: float, alpha: float) -> int:
    """Of how many executions at most so many failures are enough for the gate; -1 where never."""
    if not failed:
        return -1

    def is_enough(total: int) -> bool:
        return weigh(Counts(good=total - failed, bad=failed), p=p, alpha=alpha).is_enough

    # The answer lies in [low, high): with more executions the same failures are likelier.
    low, high = failed - 1, 2 * failed
    while is_enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_enough(middle) else (low, middle)
    return low if low >= failed else -1


def instant(at: int) -> datetime:
    """The aware datetime of milliseconds since `START`."""
    return START + timedelta(milliseconds=at)


def ms_of(at: datetime) -> int:
    """Milliseconds since `START`."""
    return (at - START) // MILLISECOND


def _among(times: list[int], since: datetime, until: datetime) -> int:
    return bisect_left(times, ms_of(until)) - bisect_left(times, ms_of(since))
