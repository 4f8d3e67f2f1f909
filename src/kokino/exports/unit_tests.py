"""A rule's own tests as unit tests for promtool: the same events, the same states.

What a Prometheus cannot know makes a difference now and then: it has no gate, sees no probes, and looks at a
grid of instants. An expectation is left out where our own code without these comes to another state, or
changes its mind before Prometheus looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kokino.alerts.model import Alert, Phase
from kokino.alerts.observe import Labels
from kokino.alerts.rehearse import START, Rehearsal, events_of, rehearsal
from kokino.alerts.rule import AlertRule, Expectation, RuleTest
from kokino.exports import alert_group
from kokino.exports.conditions import exported, shortest_window
from kokino.exports.ledger import every, scrapes
from kokino.exports.promql import duration
from kokino.exports.series import input_series
from kokino.exports.yamltext import comment, written
from kokino.slo.model import Objectives
from kokino.telemetry.model import Event

#: A grid so fine that the shortest window holds so many of its instants, within these bounds: Prometheus
#: forgets what it has not heard of for 5 minutes.
INSTANTS = 10
FINEST = timedelta(seconds=15)
COARSEST = timedelta(minutes=4)
#: promtool takes a few milliseconds for each instant.
MOST_INSTANTS = 1_200
#: Prometheus looks so often before anything happens: it has seen that all was 0.
LEAD = 4


def grid_of(rule: AlertRule) -> timedelta:
    """How often Prometheus scrapes and evaluates in the tests of a rule."""
    return min(max(shortest_window(rule) // INSTANTS // FINEST * FINEST, FINEST), COARSEST)


def as_prometheus_judges(rule: AlertRule) -> AlertRule:
    """The rule without what is not exported of it."""
    return rule.model_copy(update={"gate": "none", "conditions": tuple(exported(rule))})


def seen_by_prometheus(events: Iterable[Event]) -> list[Event]:
    """Those that move a metric that rules look at; labelled ones move none."""
    return [event for event in events if event.label is None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestWriter:
    """Writes the tests of one rule."""

    rule: AlertRule
    objectives: Objectives
    public_url: str
    #: Name of the file that has the rule's group, and its text.
    rules_name: str
    rules_text: str
    #: How often Prometheus scrapes and evaluates.
    interval: timedelta

    def text(self) -> str:
        """The file for ``promtool test rules``."""
        tests, left_out = [], []
        for test in self.rule.tests:
            kept, missing = self._translated(test)
            left_out += [f"- {test.name}: {why}" for why in missing]
            tests += [kept] if kept is not None else []
        head = [f"Unit tests of {self.rule.id}, from its own: promtool test rules FILE"]
        document = {
            "rule_files": [self.rules_name],
            "evaluation_interval": duration(self.interval),
            "tests": tests,
        }
        return comment([*head, *(["Left out:", *left_out] if left_out else [])]) + written(document)

    def _translated(self, test: RuleTest) -> tuple[dict[str, Any] | None, list[str]]:
        """The test for promtool, and what is left out of it."""
        events = seen_by_prometheus(events_of(test))
        run = rehearsal(as_prometheus_judges(self.rule), events, self.objectives)
        instants = {self._looked_at(one) for one in test.expect} | {START + one.at for one in test.expect}
        states = {now: firing(run) for now in run.run(instants)}
        kept: dict[datetime, list[Alert]] = {}
        missing = []
        for expected in test.expect:
            why = self._difference(expected, states[START + expected.at], run)
            if why is None:
                kept[self._looked_at(expected)] = states[self._looked_at(expected)]
            else:
                missing.append(f"{expected.state} at {duration(expected.at)}, {why}")
        return (self.document(test.name, events, kept) if kept else None), missing

    def document(
        self, name: str, events: Sequence[Event], firing_at: Mapping[datetime, Sequence[Alert]]
    ) -> dict[str, Any]:
        """One unit test: what Prometheus scrapes, and which alerts fire at which instants of the grid."""
        begins = START - LEAD * self.interval
        scraped = scrapes(events, every(self.interval, begins, max(firing_at)))
        return {
            "name": name,
            "interval": duration(self.interval),
            "input_series": input_series(scraped, self.rules_text),
            "alert_rule_test": [
                {
                    "eval_time": duration(at - begins),
                    "alertname": self.rule.id,
                    "exp_alerts": [self._expected(alert) for alert in alerts],
                }
                for at, alerts in sorted(firing_at.items())
            ],
        }

    def _looked_at(self, expected: Expectation) -> datetime:
        """The first instant of the grid at which Prometheus can see it."""
        return START - (-expected.at // self.interval) * self.interval

    def _difference(self, expected: Expectation, states: Sequence[Alert], run: Rehearsal) -> str | None:
        """Why an expectation is no test of Prometheus; None where it is one."""
        at, looked = START + expected.at, self._looked_at(expected)
        fires = any(_bears(alert, expected.labels) for alert in states)
        if fires != (expected.state is Phase.FIRING):
            return f"without gate and probes it {'fires' if fires else 'does not fire'}"
        if any(at < change.at <= looked for change in run.changes):
            return "it changes before Prometheus looks"
        if (looked - START) // self.interval > MOST_INSTANTS:
            return "too far away for a test that looks so often"
        return None

    def _expected(self, alert: Alert) -> dict[str, Any]:
        by = {one.value: alert.labels[one.value] for one in self.rule.by}
        left_out = alert_group.left_out(self.rule)
        told = alert_group.told(self.rule, left_out, self.public_url, by)
        return {"exp_labels": {**alert_group.labels(self.rule), **by}, "exp_annotations": told}


def firing(run: Rehearsal) -> list[Alert]:
    """The rule's alerts that fire now."""
    return [alert for alert in run.alerts.values() if alert.state is Phase.FIRING]


def _bears(alert: Alert, labels: Labels) -> bool:
    return all(alert.labels.get(by) == value for by, value in labels.items())
