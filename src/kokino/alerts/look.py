"""One look at one alert: measure, judge, react, and say when to look again.

The same for the database, for the tests in a rule's file, for a backtest and for a simulation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from kokino.alerts.evaluate import Verdict, evaluate
from kokino.alerts.lifecycle import Reaction, react
from kokino.alerts.measured import with_budget
from kokino.alerts.model import Alert, Phase, fingerprint
from kokino.alerts.observe import Labels, Source, View, counted, measure
from kokino.alerts.rule import AlertRule
from kokino.alerts.schedule import Schedule
from kokino.clock import MILLISECOND
from kokino.slo.model import Objectives


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at a rule found, and what is to be done about it."""

    #: The alert as it was stored; None before the first look.
    before: Alert | None
    #: What becomes of it.
    reaction: Reaction
    verdict: Verdict
    #: Its rule may have more alerts.
    is_one_of_many: bool
    #: When to look again if no event that the rule counts happens before.
    due_at: datetime | None

    @property
    def is_news(self) -> bool:
        """True where something must be written; of many possible alerts those that never fired are not."""
        alert = self.reaction.alert
        if self.before is None and self.is_one_of_many and alert.state is Phase.INACTIVE:
            return False
        return alert != self.before


def look(
    rule: AlertRule, objectives: Objectives, alert: Alert, source: Source, *, now: datetime, episode_id: str
) -> Look:
    """Look at `alert` as of `now`; `episode_id` names a new episode, if one begins."""
    labels = labels_of(rule, alert)
    objective = None if rule.slo is None else objectives.of(rule.slo)
    measured = measure(rule, objective, source, labels, now=now, windows_from=alert.windows_from)
    verdict = evaluate(rule, objective, measured, now=now)
    if objective is not None and (verdict.fires or alert.state in {Phase.PENDING, Phase.FIRING}):
        # Only a page, and those who watch an alert, ask for the budget. No resolve resets it.
        since = now + MILLISECOND - objective.window
        spent = counted(source, View(objective.id, objective.threshold), since, now, labels)
        verdict = replace(verdict, measured=with_budget(verdict.measured, objective, spent))
    reaction = react(rule, alert, verdict, now=now, episode_id=episode_id)
    if reaction.alert.windows_from != alert.windows_from:
        windows_from = reaction.alert.windows_from
        measured = measure(rule, objective, source, labels, now=now, windows_from=windows_from)
    schedule = Schedule(
        rule=rule,
        objective=objective,
        alert=reaction.alert,
        source=source,
        labels=labels,
        measured=measured,
        is_over=verdict.fires and verdict.clears,
        now=now,
    )
    return Look(
        before=alert,
        reaction=reaction,
        verdict=verdict,
        is_one_of_many=bool(rule.by) or rule.received is not None,
        due_at=schedule.due_at(),
    )


def unseen(rule: AlertRule, labels: Labels, *, now: datetime, alert_id: str) -> Alert:
    """A rule's alert before anything was looked at."""
    named = alert_labels(rule, labels)
    return Alert(
        alert_id=alert_id,
        rule_id=rule.id,
        fingerprint=fingerprint(rule.id, named),
        labels=named,
        state=Phase.INACTIVE,
        since=now,
    )


def alert_labels(rule: AlertRule, labels: Labels) -> dict[str, str]:
    """All labels of the rule's alert that is told from the others by `labels`."""
    return {**rule.labels, **{str(name): value for name, value in labels.items()}}


def labels_of(rule: AlertRule, alert: Alert) -> Labels:
    """The labels by which `alert` is told from the other alerts of its rule."""
    if rule.received is not None:
        return alert.labels
    return {by.value: alert.labels[by.value] for by in rule.by}


def looks_at(rule: AlertRule, alert: Alert) -> bool:
    """True where `alert` is one of the rule's."""
    if alert.rule_id != rule.id or not {by.value for by in rule.by} <= alert.labels.keys():
        return False
    return dict(alert.labels) == alert_labels(rule, labels_of(rule, alert))
