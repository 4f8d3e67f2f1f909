"""The engine's module that looks at every rule and keeps what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy import Connection

from kokino.alerts import store
from kokino.alerts.evaluate import Verdict, evaluate
from kokino.alerts.lifecycle import Reaction, react, retire
from kokino.alerts.model import Alert, Phase, fingerprint
from kokino.alerts.observe import Source, Stored, measure
from kokino.alerts.rule import AlertRule
from kokino.alerts.schedule import due_at
from kokino.barrier import Barrier
from kokino.ids import Ids
from kokino.slo.model import Objectives
from kokino.storage import Storage

log = structlog.get_logger(__name__)

#: Why an alert ends that its rule looked at in an earlier broker and looks at no more.
RULE_GONE = "its rule is gone"
RULE_CHANGED = "its rule has other labels now"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIds:
    """Names for what a look may find for the first time."""

    alert_id: str
    episode_id: str


#: In a look that is not written down nothing new has a name yet.
UNNAMED = NewIds(alert_id="", episode_id="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at a rule found, and what is to be done about it."""

    #: The alert as it was stored; None before the first look.
    before: Alert | None
    #: What becomes of it.
    reaction: Reaction
    verdict: Verdict
    #: When to look again if no execution ends before.
    due_at: datetime | None

    @property
    def is_news(self) -> bool:
        """True where something must be written."""
        return self.reaction.alert != self.before


def look(
    rule: AlertRule, objectives: Objectives, alert: Alert, source: Source, *, now: datetime, episode_id: str
) -> Look:
    """Measure, judge and react, as of `now`: the same for the database and for a test's timeline."""
    objective = objectives.of(rule.slo)
    measurements = measure(rule, objective, source, now=now, windows_from=alert.windows_from)
    verdict = evaluate(rule, objective, measurements)
    reaction = react(rule, alert, verdict, now=now, episode_id=episode_id)
    if reaction.alert.windows_from != alert.windows_from:
        measurements = measure(rule, objective, source, now=now, windows_from=reaction.alert.windows_from)
    due = due_at(rule, reaction.alert, source, measurements, now=now)
    return Look(before=alert, reaction=reaction, verdict=verdict, due_at=due)


def unseen(rule: AlertRule, *, now: datetime, alert_id: str) -> Alert:
    """A rule's alert before anything was looked at."""
    return Alert(
        alert_id=alert_id,
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
        self._is_first = True

    async def run(self, now: datetime) -> datetime | None:
        """Look at each rule once; when the first of them must be looked at again.

        Running again at the same instant changes nothing. Raises `Faults` once every rule had its turn.
        """
        with Barrier() as barrier:
            if self._is_first:
                left = await self._storage.read(self._left)
                await barrier.each(left, partial(self._retire, now=now), name=lambda alert: alert.alert_id)
            due = await barrier.each(self.rules, partial(self._run, now=now), name=lambda rule: rule.id)
        self._is_first = False
        return min((instant for instant in due if instant is not None), default=None)

    def examine(self, conn: Connection, rule: AlertRule, now: datetime, new: NewIds = UNNAMED) -> Look:
        """What a look would find, writing nothing."""
        found = store.find(conn, rule.id, fingerprint(rule.id, rule.labels))
        alert = found or unseen(rule, now=now, alert_id=new.alert_id)
        looked = look(rule, self._objectives, alert, Stored(conn), now=now, episode_id=new.episode_id)
        return replace(looked, before=found)

    async def _run(self, rule: AlertRule, now: datetime) -> datetime | None:
        seen = await self._storage.read(lambda conn: self.examine(conn, rule, now))
        if not seen.is_news:
            return seen.due_at
        new = NewIds(alert_id=self._ids.new("alert"), episode_id=self._ids.uuid())
        taken = await self._storage.write(lambda conn: self._take(conn, rule, now, new))
        _tell(taken.reaction)
        return taken.due_at

    def _take(self, conn: Connection, rule: AlertRule, now: datetime, new: NewIds) -> Look:
        """Look again where nobody can come between, and write what is found."""
        seen = self.examine(conn, rule, now, new)
        if seen.is_news:
            store.save(conn, seen.reaction.alert, seen.reaction.transition)
        return seen

    def _left(self, conn: Connection) -> list[Alert]:
        """Alerts that fire or are about to, and that no rule looks at any more: nothing else ends them."""
        looked_at = {fingerprint(rule.id, rule.labels) for rule in self.rules}
        unsettled = store.listed(conn, (Phase.FIRING, Phase.PENDING))
        return [alert for alert in unsettled if alert.fingerprint not in looked_at]

    async def _retire(self, alert: Alert, now: datetime) -> None:
        is_known = alert.rule_id in {rule.id for rule in self.rules}
        reaction = retire(alert, reason=RULE_CHANGED if is_known else RULE_GONE, now=now)
        await self._storage.write(lambda conn: store.save(conn, reaction.alert, reaction.transition))
        _tell(reaction)


def _tell(reaction: Reaction) -> None:
    change = reaction.transition
    if change is not None:
        log.warning(
            "alert changed its state",
            rule=reaction.alert.rule_id,
            alert=change.alert_id,
            from_state=change.from_state.value,
            to_state=change.to_state.value,
            reason=change.reason,
        )
