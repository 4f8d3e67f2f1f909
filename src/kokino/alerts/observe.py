"""Count what a rule asks for, in the database or on a test's timeline."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from kokino.alerts.conditions import (
    Budget,
    Burn,
    Condition,
    Count,
    Level,
    Lower,
    Mean,
    Rate,
    Received,
    Recovered,
    Timer,
)
from kokino.alerts.received import Told
from kokino.alerts.rule import AlertRule, By
from kokino.clock import EPOCH, MILLISECOND
from kokino.slo.model import Objective, SloId
from kokino.telemetry.model import Counts, Memory

#: The labels by which one alert of a rule is told from the others.
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class View:
    """What is counted as good and bad."""

    slo: SloId
    #: Of latency: one that took at most this long is good.
    within: timedelta | None = None


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """When an event happened. Of two at one instant the later told is the later."""

    at: datetime
    number: int


class Source(Protocol):
    """What happened, in half-open windows, to those that bear some labels."""

    def counts(self, view: View, since: datetime, until: datetime, labels: Labels) -> Counts:
        """Good and bad ones of a service level, none that still runs."""
        ...

    def probes(self, since: datetime, until: datetime, labels: Labels) -> Counts:
        """Labelled probes."""
        ...

    def memory(self, since: datetime, until: datetime, labels: Labels) -> Memory:
        """What executions took."""
        ...

    def how_many(self, types: Collection[str], since: datetime, until: datetime, labels: Labels) -> int:
        """How many events of these types happened, counted up to 10,000."""
        ...

    def last(self, types: Collection[str], until: datetime, labels: Labels) -> Moment | None:
        """The last event of these types before `until`."""
        ...

    def message(self, moment: Moment) -> str | None:
        """What was said of the event of that moment, as `last` gave it."""
        ...

    def running(self, until: datetime, labels: Labels) -> Sequence[datetime]:
        """When each of the users' executions started that still runs, the oldest first."""
        ...

    def first_at(
        self, types: Collection[str], since: datetime, until: datetime, labels: Labels, *, probes: bool
    ) -> datetime | None:
        """When the first event of these types happened; with `probes`, one of a probe too."""
        ...

    def told(self, labels: Labels, until: datetime) -> Told | None:
        """What an Alertmanager last said, before `until`, of its alert with just these labels."""
        ...

    def bearers(self, rule: AlertRule, until: datetime) -> Sequence[Labels]:
        """The labels of all that the rule may have an alert for, of a rule with one for each."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Everything that a verdict is made of."""

    #: Good and bad by what is counted and the window's length, none from before the latest resolve.
    counts: Mapping[tuple[View, timedelta], Counts] = field(default_factory=dict)
    #: Probes in the resolve window.
    probes: Counts = field(default_factory=Counts)
    #: Peaks by length of window.
    memory: Mapping[timedelta, Memory] = field(default_factory=dict)
    #: Events by id of the condition that counts them.
    events: Mapping[str, int] = field(default_factory=dict)
    #: By id of the condition: since when its level is raised, or its timer runs.
    since: Mapping[str, datetime] = field(default_factory=dict)
    #: By id of the condition: what was said of the event that raised its level.
    said: Mapping[str, str] = field(default_factory=dict)
    #: By id of the condition: what was said of an alert of others that fires by that.
    told: Mapping[str, Told] = field(default_factory=dict)
    #: The latest resolve, which no window reaches back to.
    windows_from: datetime | None = None


def bears(labels: Labels, agent_id: str, cli_type: str) -> bool:
    """True for what happened to an agent and a CLI type with these labels."""
    return labels.get(By.AGENT, agent_id) == agent_id and labels.get(By.CLI_TYPE, cli_type) == cli_type


def distinct(rule: AlertRule, found: Iterable[tuple[str, str]]) -> list[Labels]:
    """The labels of each of the rule's alerts that these agents and CLI types are of, in their order."""
    named = [{By.AGENT: agent_id, By.CLI_TYPE: cli_type} for agent_id, cli_type in found]
    keys = {tuple((by, one[by]) for by in rule.by) for one in named}
    return [dict(key) for key in sorted(keys)]


def view_of(objective: Objective, part: Condition | Recovered) -> View:
    """What a condition, or a recovery, counts as good."""
    within = part.within if isinstance(part, Rate | Recovered) else None
    return View(objective.id, (within or objective.threshold) if objective.id is SloId.LATENCY else None)


def windows(rule: AlertRule, objective: Objective) -> Iterator[tuple[View, timedelta]]:
    """Everything that the rule counts good and bad ones in."""
    for part in (*rule.conditions, rule.resolve):
        match part:
            case Rate() | Budget() | Recovered():
                yield view_of(objective, part), part.window
            case Burn():
                yield view_of(objective, part), part.long
                yield view_of(objective, part), part.short


def measure(
    rule: AlertRule,
    objective: Objective | None,
    source: Source,
    labels: Labels,
    *,
    now: datetime,
    windows_from: datetime | None,
) -> Measurements:
    """Count every window that `rule` looks at, as of `now`, for the alert with `labels`."""
    until, resolve = now + MILLISECOND, rule.resolve

    def since(length: timedelta) -> datetime:
        return window_start(now, length, windows_from)

    asked = set() if objective is None else set(windows(rule, objective))
    counts = {
        (view, length): counted(source, view, since(length), now, labels, windows_from=windows_from)
        for view, length in asked
    }
    since_when = dict(_since(rule, source, until, labels))
    means = [part for part in (*rule.conditions, resolve) if isinstance(part, Mean | Lower)]
    return Measurements(
        counts=counts,
        probes=source.probes(since(resolve.window), until, labels)
        if isinstance(resolve, Recovered) and _probes_count(rule, objective, resolve, counts)
        else Counts(),
        memory={part.window: source.memory(since(part.window), until, labels) for part in means},
        events={
            part.id: source.how_many(part.of, since(part.window), until, labels)
            for part in rule.conditions
            if isinstance(part, Count)
        },
        since=since_when,
        said=dict(_said(rule, since_when, source, until, labels)),
        told=dict(_told(rule, source, until, labels)),
        windows_from=windows_from,
    )


def _probes_count(
    rule: AlertRule,
    objective: Objective | None,
    resolve: Recovered,
    counts: Mapping[tuple[View, timedelta], Counts],
) -> bool:
    """True where too few executions ran to prove anything; elsewhere nobody asks for probes, which costs."""
    if objective is None or rule.slo is not SloId.AVAILABILITY:
        return False
    return counts[view_of(objective, resolve), resolve.window].total < resolve.min_successes


def counted(
    source: Source,
    view: View,
    since: datetime,
    now: datetime,
    labels: Labels,
    *,
    windows_from: datetime | None = None,
) -> Counts:
    """Good and bad ones from `since` to `now`. One that still runs past the threshold is slow already.

    One that was so at the latest resolve was answered for: it counts again when it ends.
    """
    found = source.counts(view, since, now + MILLISECOND, labels)
    if view.within is None:
        return found
    became = (start + view.within for start in source.running(now + MILLISECOND, labels))
    slow = sum(at < now and (windows_from is None or at >= windows_from) for at in became)
    return found + Counts(bad=slow)


def window_start(now: datetime, length: timedelta, windows_from: datetime | None) -> datetime:
    """The first instant of a window that ends with `now` itself and starts after the latest resolve.

    An execution that ended at t is in it until just before t + `length`.
    """
    since = now - length if windows_from is None else max(now - length, windows_from)
    return since + MILLISECOND


def _since(
    rule: AlertRule, source: Source, until: datetime, labels: Labels
) -> Iterator[tuple[str, datetime]]:
    for part in rule.conditions:
        match part:
            case Level():
                begun = source.last(part.raised_by, until, labels)
                over = source.last(part.lowered_by, until, labels)
            case Timer():
                begun = source.last(part.started_by, until, labels)
                over = source.last(part.ended_by, until, labels)
            case _:
                continue
        if begun is None or (over is not None and begun < over):
            continue
        if isinstance(part, Timer):
            # The first start after the last end: what begins again and again has not ended in between.
            after = EPOCH if over is None else over.at + MILLISECOND
            first = source.first_at(part.started_by, after, until, labels, probes=False)
            yield part.id, first or begun.at
        else:
            yield part.id, begun.at


def _said(
    rule: AlertRule, since: Mapping[str, datetime], source: Source, until: datetime, labels: Labels
) -> Iterator[tuple[str, str]]:
    """Of each level that is raised, why: its last raising event's own words, where it has any."""
    for part in rule.conditions:
        if isinstance(part, Level) and part.id in since:
            begun = source.last(part.raised_by, until, labels)
            message = None if begun is None else source.message(begun)
            if message is not None:
                yield part.id, message


def _told(rule: AlertRule, source: Source, until: datetime, labels: Labels) -> Iterator[tuple[str, Told]]:
    for part in rule.conditions:
        if isinstance(part, Received) and part.fits(labels):
            told = source.told(labels, until)
            if told is not None and told.is_firing:
                yield part.id, told
