"""The engine's module that looks at every rule and keeps what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import Connection

from kokino.alerts import store
from kokino.alerts.evaluate import Verdict, evaluate
from kokino.alerts.lifecycle import Step, step
from kokino.alerts.model import Alert, Phase, fingerprint
from kokino.alerts.observe import Source, Stored, measure
from kokino.alerts.rule import AlertRule
from kokino.alerts.schedule import due_at
from kokino.ids import Ids
from kokino.slo.model import Objectives
from kokino.storage import Storage

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at a rule found, and what is to be done about it."""

    #: The alert as it was stored; None before the first look.
    before: Alert | None
    #: What becomes of it.
    step: Step
    verdict: Verdict
    #: When to look again if no execution ends before.
    due_at: datetime | None

    @property
    def is_news(self) -> bool:
        """True where something must be written."""
        return self.step.alert != self.before


def look(
    rule: AlertRule, objectives: Objectives, alert: Alert, source: Source, *, now: datetime, ids: Ids
) -> Look:
    """Measure, judge and step, as of `now`: the same for the database and for a test's timeline."""
    objective = objectives.of(rule.slo)
    measurements = measure(rule, objective, source, now=now, windows_from=alert.windows_from)
    verdict = evaluate(rule, objective, measurements)
    taken = step(rule, alert, verdict, now=now, ids=ids)
    if taken.alert.windows_from != alert.windows_from:
        measurements = measure(rule, objective, source, now=now, windows_from=taken.alert.windows_from)
    due = due_at(rule, taken.alert, source, measurements, now=now)
    return Look(before=alert, step=taken, verdict=verdict, due_at=due)


def unseen(rule: AlertRule, *, now: datetime, ids: Ids) -> Alert:
    """A rule's alert before anything was looked at."""
    return Alert(
        alert_id=ids.new("alert"),
        rule_id=rule.id,
        fingerprint=fingerprint(rule.id, rule.labels),
        labels=rule.labels,
        state=Phase.INACTIVE,
        since=now,
    )


class AlertRules:
    """Looks at every rule when something ended or when time alone may have changed a verdict."""

    name = "alert_rules"

    def __init__(
        self, storage: Storage, ids: Ids, rules: Sequence[AlertRule], objectives: Objectives
    ) -> None:
        self._storage = storage
        self._ids = ids
        self.rules = tuple(rules)
        self._objectives = objectives

    async def run(self, now: datetime) -> datetime | None:
        """Look at each rule once; when the first of them must be looked at again.

        Running again at the same instant changes nothing.
        """
        due = [await self._run(rule, now) for rule in self.rules]
        return min((instant for instant in due if instant is not None), default=None)

    def examine(self, conn: Connection, rule: AlertRule, now: datetime) -> Look:
        """What a look would find, writing nothing."""
        found = store.find(conn, rule.id, fingerprint(rule.id, rule.labels))
        alert = found or unseen(rule, now=now, ids=self._ids)
        looked = look(rule, self._objectives, alert, Stored(conn), now=now, ids=self._ids)
        return Look(before=found, step=looked.step, verdict=looked.verdict, due_at=looked.due_at)

    async def _run(self, rule: AlertRule, now: datetime) -> datetime | None:
        seen = await self._storage.read(lambda conn: self.examine(conn, rule, now))
        if not seen.is_news:
            return seen.due_at
        taken = await self._storage.write(lambda conn: self._take(conn, rule, now))
        _tell(taken)
        return taken.due_at

    def _take(self, conn: Connection, rule: AlertRule, now: datetime) -> Look:
        """Look again where nobody can come between, and write what is found."""
        seen = self.examine(conn, rule, now)
        if seen.is_news:
            store.save(conn, seen.step.alert, seen.step.transition)
        return seen


def _tell(taken: Look) -> None:
    change = taken.step.transition
    if change is not None:
        log.warning(
            "alert changed its state",
            rule=taken.step.alert.rule_id,
            alert=change.alert_id,
            from_state=change.from_state.value,
            to_state=change.to_state.value,
            reason=change.reason,
        )
