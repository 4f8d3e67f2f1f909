"""Follow a rule along a timeline in virtual time, through the code that runs in earnest.

For the tests in a rule's file, and for a backtest of what happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from kokino.alerts import received
from kokino.alerts.look import alert_labels, labels_of, look, unseen
from kokino.alerts.model import UNSETTLED, Alert, Phase, Transition
from kokino.alerts.observe import Labels
from kokino.alerts.rule import AGENT, CLI_TYPE, AlertRule, Ends, Expectation, Happens, RuleTest, Runs, Told
from kokino.alerts.timeline import Timeline
from kokino.clock import MILLISECOND, iso
from kokino.slo.model import Objectives
from kokino.telemetry.model import END_STATES, END_TYPES, Event, EventType

#: When the virtual time of every test begins. Any instant will do.
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
#: What a CLI type should stay under in a test that says nothing of it, in MiB: the default of a CLI type.
MEMORY_SLO_MB = 500


@dataclass(slots=True)
class Rehearsal:
    """A rule followed along a timeline, with all its alerts."""

    rule: AlertRule
    objectives: Objectives
    timeline: Timeline
    started_at: datetime
    #: By their labels.
    alerts: dict[tuple[tuple[str, str], ...], Alert] = field(default_factory=dict)
    #: Every change of state, in order.
    changes: list[Transition] = field(default_factory=list)

    def run(self, instants: Iterable[datetime]) -> Iterator[datetime]:
        """Look when something happens, when it is due and at `instants`; yields these after it looked."""
        asked = set(instants)
        types = self.rule.listens_to()
        happened = {event.at for event in self.timeline.events if event.type in types}
        ahead = sorted(asked | {at for at in happened if at >= self.started_at}, reverse=True)
        due: datetime | None = None
        while ahead:
            now = ahead[-1] if due is None else min(due, ahead[-1])
            if now == ahead[-1]:
                ahead.pop()
            due = self.look(now)
            if now in asked:
                yield now

    def look(self, now: datetime) -> datetime | None:
        """Look at every alert of the rule; when to look again."""
        bearers = [*self.timeline.bearers(self.rule, now + MILLISECOND)]
        # What fires and has no bearer any more must end all the same.
        left = (labels_of(self.rule, one) for one in self.alerts.values() if one.state in UNSETTLED)
        bearers += [labels for labels in left if labels not in bearers]
        return min((at for labels in bearers if (at := self._look(labels, now)) is not None), default=None)

    def alert(self, labels: Labels) -> Alert:
        """The alert with these labels."""
        named = alert_labels(self.rule, labels)
        key = tuple(sorted(named.items()))
        if key not in self.alerts:
            self.alerts[key] = unseen(
                self.rule, labels, now=self.started_at, alert_id=f"alert-{len(self.alerts) + 1}"
            )
        return self.alerts[key]

    def _look(self, labels: Labels, now: datetime) -> datetime | None:
        before = self.alert(labels)
        episode_id = f"episode-{len(self.changes) + 1}"
        seen = look(self.rule, self.objectives, before, self.timeline, now=now, episode_id=episode_id)
        self.alerts[tuple(sorted(before.labels.items()))] = seen.reaction.alert
        if seen.reaction.transition is not None:
            self.changes.append(seen.reaction.transition)
        return seen.due_at


def rehearse(rule: AlertRule, test: RuleTest, objectives: Objectives) -> list[str]:
    """What went otherwise than one test of the rule expects, as sentences; nothing when it passed."""
    return list(follow(rehearsal(rule, events_of(test), objectives), test))


def follow(run: Rehearsal, test: RuleTest) -> Iterator[str]:
    """The same, one by one, of a rehearsal of the test's events that is about to begin."""
    expected = sorted(test.expect, key=lambda expectation: expectation.at)
    for now in run.run(START + expectation.at for expectation in expected):
        for expectation in expected:
            if START + expectation.at == now:
                yield from (f"{test.name}: {fault}" for fault in _faults(run, expectation))


def rehearsal(rule: AlertRule, events: Iterable[Event], objectives: Objectives) -> Rehearsal:
    """A rehearsal of `rule` that begins at `START` with alerts that are inactive."""
    return Rehearsal(rule, objectives, Timeline(events), START)


def events_of(test: RuleTest) -> Iterator[Event]:
    """What happens in a test, as events."""
    numbers = count(1)
    for group in test.events:
        match group:
            case Ends():
                for number in range(group.count):
                    yield from _execution(group, START + group.at + number * group.every, next(numbers))
            case Happens():
                for number in range(group.count):
                    yield _told(group, START + group.at + number * group.every)
            case Runs():
                yield from _running(group, f"exec-{next(numbers)}")
            case Told():
                yield _received(group, START + group.at)


def _execution(group: Ends, at: datetime, number: int) -> Iterator[Event]:
    """One that ended; of one that took a while also its start, for it was known to run."""
    end = Event(
        type=END_TYPES["completed" if group.outcome == "good" else "failed"],
        at=at,
        agent_id=group.agent,
        cli_type=group.cli_type,
        execution_id=f"exec-{number}",
        label=group.label,
        duration_ms=(group.took or timedelta(0)) // MILLISECOND,
        memory_mb=group.memory_mb,
        memory_slo_mb=MEMORY_SLO_MB,
    )
    if group.took is not None:
        yield _start_of(end, at - group.took)
    yield end


def _told(group: Happens, at: datetime) -> Event:
    """An execution's end is always one agent's, on one CLI type."""
    is_end = group.event in END_STATES
    return Event(
        type=group.event,
        at=at,
        agent_id=group.agent or (AGENT if is_end else None),
        cli_type=group.cli_type or (CLI_TYPE if is_end else None),
    )


def _received(group: Told, at: datetime) -> Event:
    """One message of an Alertmanager; each is noted, as if an hour lay between them."""
    told = received.Told(
        labels=group.labels,
        is_firing=group.received == "firing",
        since=at,
        at=at,
        summary=group.labels.get("alertname", "an alert"),
    )
    return Event(type=EventType.ALERT_RECEIVED, at=at, message=told.summary, data=told.to_data())


def _running(group: Runs, execution_id: str) -> Iterator[Event]:
    end = Event(
        type=EventType.EXECUTION_COMPLETED,
        at=START + (group.ends or group.starts),
        agent_id=group.agent,
        cli_type=group.cli_type,
        execution_id=execution_id,
        duration_ms=((group.ends or group.starts) - group.starts) // MILLISECOND,
    )
    yield _start_of(end, START + group.starts)
    if group.ends is not None:
        yield end


def _start_of(end: Event, at: datetime) -> Event:
    return Event(
        type=EventType.EXECUTION_STARTED,
        at=at,
        agent_id=end.agent_id,
        cli_type=end.cli_type,
        execution_id=end.execution_id,
        label=end.label,
    )


def _faults(run: Rehearsal, expected: Expectation) -> Iterator[str]:
    at = f"at {expected.at} ({iso(START + expected.at)})"
    alert = run.alert(expected.labels)
    changes = [change for change in run.changes if change.alert_id == alert.alert_id]
    told = f"; last change: {changes[-1].reason}" if changes else "; it never changed"
    if alert.state is not expected.state:
        yield f"{at} the alert is {alert.state}, not {expected.state}{told}"
    fired = [change for change in changes if change.to_state == Phase.FIRING]
    named = fired[-1].measured.get("condition") if fired else None
    if expected.condition is not None and named != expected.condition:
        yield f"{at} it fired by {named}, not by {expected.condition}{told}"
    holding = tuple(alert.measured.get("holding", ()))
    if expected.holding is not None and holding != expected.holding:
        listed, asked = (", ".join(some) or "none" for some in (holding, expected.holding))
        yield f"{at} the conditions that hold are {listed}, not {asked}"
