"""Run the tests in a rule's file: executions in virtual time, through the code that runs in earnest."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kokino.alerts.model import Alert, Transition
from kokino.alerts.module import look, unseen
from kokino.alerts.rule import AlertRule, Expectation, RuleTest
from kokino.clock import iso
from kokino.slo.model import Objectives
from kokino.telemetry.model import Counts

#: When the virtual time of every test begins. Any instant will do.
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Ended:
    """One execution's end on the timeline."""

    at: datetime
    is_good: bool
    is_probe: bool = False


class Timeline:
    """A `Source` over a list of ends, in whatever order they are given."""

    def __init__(self, ends: Iterable[Ended]) -> None:
        self._ends = sorted(ends)

    def instants(self) -> list[datetime]:
        """When something ends, ascending, each instant once."""
        return sorted({end.at for end in self._ends})

    def counts(self, since: datetime, until: datetime) -> Counts:
        return _counts(end for end in self._within(since, until) if not end.is_probe)

    def probes(self, since: datetime, until: datetime) -> Counts:
        return _counts(end for end in self._within(since, until) if end.is_probe)

    def oldest_at(self, since: datetime, until: datetime) -> datetime | None:
        return next((end.at for end in self._within(since, until) if not end.is_probe), None)

    def oldest_bad_at(self, since: datetime, until: datetime) -> datetime | None:
        return next((end.at for end in self._within(since, until) if not end.is_good), None)

    def _within(self, since: datetime, until: datetime) -> Sequence[Ended]:
        first = bisect_left(self._ends, since, key=lambda end: end.at)
        return self._ends[first : bisect_left(self._ends, until, key=lambda end: end.at)]


@dataclass(slots=True)
class Rehearsal:
    """A rule followed along a timeline."""

    rule: AlertRule
    objectives: Objectives
    timeline: Timeline
    alert: Alert
    #: Every change of state, in order.
    changes: list[Transition] = field(default_factory=list)

    def run(self, instants: Iterable[datetime]) -> Iterator[datetime]:
        """Look when something ends, when it is due and at `instants`; yields these after it looked."""
        asked = set(instants)
        ahead = sorted(asked | set(self.timeline.instants()))
        due: datetime | None = None
        while ahead:
            now = ahead[0] if due is None else min(due, ahead[0])
            if now == ahead[0]:
                ahead.pop(0)
            due = self._look(now)
            if now in asked:
                yield now

    def _look(self, now: datetime) -> datetime | None:
        episode_id = f"episode-{len(self.changes) + 1}"
        seen = look(self.rule, self.objectives, self.alert, self.timeline, now=now, episode_id=episode_id)
        self.alert = seen.reaction.alert
        if seen.reaction.transition is not None:
            self.changes.append(seen.reaction.transition)
        return seen.due_at


def rehearse(rule: AlertRule, test: RuleTest, objectives: Objectives) -> list[str]:
    """What went otherwise than one test of the rule expects, as sentences; nothing when it passed."""
    run = rehearsal(rule, _ends(test), objectives)
    expected = sorted(test.expect, key=lambda expectation: expectation.at)
    wrong: list[str] = []
    for now in run.run(START + expectation.at for expectation in expected):
        for expectation in expected:
            if START + expectation.at == now:
                wrong.extend(f"{test.name}: {fault}" for fault in _faults(run, expectation))
    return wrong


def rehearsal(rule: AlertRule, ends: Iterable[Ended], objectives: Objectives) -> Rehearsal:
    """A rehearsal of `rule` that begins at `START` with an alert that is inactive."""
    return Rehearsal(rule, objectives, Timeline(ends), unseen(rule, now=START, alert_id=rule.id))


def _counts(ends: Iterable[Ended]) -> Counts:
    outcomes = [end.is_good for end in ends]
    return Counts(good=sum(outcomes), bad=len(outcomes) - sum(outcomes))


def _ends(test: RuleTest) -> Iterator[Ended]:
    for group in test.events:
        for number in range(group.count):
            yield Ended(
                START + group.at + number * group.every,
                group.outcome == "good",
                is_probe=group.label is not None,
            )


def _faults(run: Rehearsal, expected: Expectation) -> Iterator[str]:
    at = f"at {expected.at} ({iso(START + expected.at)})"
    told = f"; last change: {run.changes[-1].reason}" if run.changes else "; it never changed"
    if run.alert.state is not expected.state:
        yield f"{at} the alert is {run.alert.state}, not {expected.state}{told}"
    fired = [change for change in run.changes if change.to_state == "firing"]
    named = fired[-1].measured.get("condition") if fired else None
    if expected.condition is not None and named != expected.condition:
        yield f"{at} it fired by {named}, not by {expected.condition}{told}"
