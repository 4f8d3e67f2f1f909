"""What holds for every alert of every rule, whatever happens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import given, settings

from kokino.alerts.conditions import Recovered
from kokino.alerts.look import Look, look
from kokino.alerts.model import Phase, Transition
from kokino.alerts.observe import Labels, bears, window_start
from kokino.alerts.rehearse import START, Rehearsal
from kokino.alerts.rule import AlertRule, NoData
from kokino.alerts.timeline import Timeline
from kokino.slo.defaults import defaults
from kokino.slo.model import SloId
from kokino.telemetry.model import PROBE
from tests.alert_streams import LENGTH_S, RULES, SECOND, STREAMS, Told

#: After all that happens.
FOREVER = START + timedelta(days=365)


@dataclass(slots=True)
class Recorded(Rehearsal):
    """A rehearsal that keeps every look, and looks twice at each instant."""

    looks: dict[str, list[tuple[datetime, Look]]] = field(default_factory=lambda: defaultdict(list))

    def _look(self, labels: Labels, now: datetime) -> datetime | None:
        before, number = self.alert(labels), len(self.changes)
        seen = look(
            self.rule, self.objectives, before, self.timeline, now=now, episode_id=f"episode-{number + 1}"
        )
        due = Rehearsal._look(self, labels, now)
        after = self.alert(labels)
        assert after == seen.reaction.alert
        again = look(self.rule, self.objectives, after, self.timeline, now=now, episode_id="another")
        assert (again.reaction.alert, again.reaction.transition) == (after, None), (
            "looking twice is looking once"
        )
        self.looks[before.alert_id].append((now, seen))
        return due

    def history(self, alert_id: str) -> list[Transition]:
        """Every change of one alert."""
        return [change for change in self.changes if change.alert_id == alert_id]

    def since(self, alert_id: str, since: datetime, until: datetime) -> list[Look]:
        """Every look at it in this time, both ends with it."""
        return [seen for now, seen in self.looks[alert_id] if since <= now <= until]


def followed(rule: AlertRule, stream: Sequence[Told]) -> Recorded:
    """The rule over all of the stream, and for a day after it."""
    run = Recorded(rule, defaults(), Timeline(told.event for told in stream), START)
    list(run.run([START + LENGTH_S * SECOND + timedelta(days=1)]))
    return run


def proves_recovery(rule: AlertRule) -> bool:
    """By executions that succeeded: what such a rule must see can be counted by hand."""
    is_available = rule.slo is SloId.AVAILABILITY and rule.no_data is not NoData.OK
    return is_available and isinstance(rule.resolve, Recovered)


@settings(max_examples=200)
@given(rule=RULES, stream=STREAMS)
def test_an_alert_fires_only_after_a_condition_held_for_as_long_as_its_rule_asks(
    rule: AlertRule, stream: list[Told]
) -> None:
    """At every look from the beginning to the firing; and looking twice at an instant changes nothing."""
    run = followed(rule, stream)
    for alert_id in run.looks:
        history = run.history(alert_id)
        for before, change in zip([None, *history], history, strict=False):
            if change.to_state is not Phase.FIRING:
                continue
            held_since = before.at if before is not None and rule.pending_for else change.at
            assert change.at - held_since >= rule.pending_for
            assert all(seen.verdict.fires for seen in run.since(alert_id, held_since, change.at))


@settings(max_examples=200)
@given(rule=RULES, stream=STREAMS)
def test_an_alert_resolves_only_on_evidence_that_lasted(rule: AlertRule, stream: list[Told]) -> None:
    """For as long as the hold asks, every look saw its resolve condition hold."""
    run = followed(rule, stream)
    for alert_id, looks in run.looks.items():
        for change in run.history(alert_id):
            if change.to_state is not Phase.RESOLVED:
                continue
            last = [seen for now, seen in looks if now <= change.at - rule.resolve.hold][-1:]
            assert all(
                seen.verdict.clears
                for seen in [*last, *run.since(alert_id, change.at - rule.resolve.hold, change.at)]
            )


@settings(max_examples=200)
@given(rule=RULES.filter(proves_recovery), stream=STREAMS)
def test_a_recovery_is_proved_by_so_many_successes(rule: AlertRule, stream: list[Told]) -> None:
    """Counted one by one among all that happened, in a window that ends with the resolve."""
    resolve = rule.resolve
    assert isinstance(resolve, Recovered)
    run = followed(rule, stream)
    for labels in run.timeline.bearers(rule, FOREVER):
        for change in run.history(run.alert(labels).alert_id):
            if change.to_state is not Phase.RESOLVED:
                continue
            since = window_start(change.at, resolve.window, None)
            good = [
                told.event
                for told in stream
                if since <= told.event.at <= change.at
                and told.event.is_good
                and told.event.label in {None, PROBE}
                and bears(labels, told.event.agent_id or "", told.event.cli_type or "")
            ]
            assert len(good) >= resolve.min_successes
