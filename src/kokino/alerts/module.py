"""The engine's module that looks at every rule and keeps what it finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy import Connection

from kokino.alerts import store
from kokino.alerts.lifecycle import Reaction, retire
from kokino.alerts.look import Look, alert_labels, labels_of, look, looks_at, unseen
from kokino.alerts.model import UNSETTLED, Alert, fingerprint
from kokino.alerts.observe import Labels
from kokino.alerts.punctuality import Punctuality
from kokino.alerts.rule import AlertRule, Severity
from kokino.alerts.stored import KnowsRunning, Stored
from kokino.barrier import Barrier
from kokino.clock import MILLISECOND
from kokino.ids import Ids
from kokino.slo.model import Objectives
from kokino.storage import Storage
from kokino.telemetry import latest_store

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


class AlertRules:
    """Looks at a rule when something happened that it counts, or when time alone may change its verdict."""

    name = "alert_rules"

    def __init__(
        self,
        storage: Storage,
        ids: Ids,
        rules: Sequence[AlertRule],
        objectives: Objectives,
        *,
        knows_running: KnowsRunning,
    ) -> None:
        """`knows_running` tells which of the users' executions run."""
        self._storage = storage
        self._ids = ids
        self.rules = tuple(rules)
        self._objectives = objectives
        self._knows_running = knows_running
        #: How looks at rules have gone so far.
        self.punctuality = Punctuality([rule.id for rule in self.rules])
        self._listens_to = frozenset[str]().union(*(rule.listens_to() for rule in self.rules))
        self._is_first = True
        #: The last event that every rule was asked about.
        self._seen_up_to = 0
        #: When each rule is looked at, whatever happens; one that could not be looked at is due at once.
        self._due: dict[str, datetime] = {}

    async def run(self, now: datetime) -> datetime | None:
        """Look at each rule that may say something new; when the first of them must be looked at again.

        Running again at the same instant changes nothing. Raises `Faults` once every rule had its turn.
        """
        with self.punctuality.turn(now):
            return await self._look_at_all(now)

    async def _look_at_all(self, now: datetime) -> datetime | None:
        news, seen_up_to = await self._storage.read(self._news)
        with Barrier() as barrier:
            if self._is_first:
                left = await self._storage.read(self._left)
                await barrier.each(left, partial(self._retire, now=now), name=lambda alert: alert.alert_id)
                self._due = {rule.id: now for rule in self.rules}
            asked = [rule for rule in self.rules if self._is_asked(rule, news, now)]
            for rule in asked:
                self._due[rule.id] = self._was_due(rule, now)
            self._is_first, self._seen_up_to = False, seen_up_to
            await barrier.each(asked, partial(self._run, news=news, now=now), name=lambda rule: rule.id)
        return min(self._due.values(), default=None)

    def rule(self, rule_id: str) -> AlertRule | None:
        """The rule of that id, if it is watched."""
        return next((rule for rule in self.rules if rule.id == rule_id), None)

    def waiting_since(self, conn: Connection) -> datetime | None:
        """Since when what waits longest for a look does: a rule that is due, or an event that none has seen.

        None while nothing does, and before the first look, which asks for no event.
        """
        since = list(self._due.values())
        if not self._is_first:
            unseen = latest_store.first_since(conn, self._seen_up_to, self._listens_to)
            since += [] if unseen is None else [unseen]
        return min(since, default=None)

    def examine(
        self, conn: Connection, rule: AlertRule, labels: Labels, now: datetime, new: NewIds = UNNAMED
    ) -> Look:
        """What a look at one alert of a rule would find, writing nothing."""
        return self._look(Stored(conn, self._knows_running), rule, labels, now, new)

    def _news(self, conn: Connection) -> tuple[Mapping[str, datetime], int]:
        """What happened since the last look, and how far that goes; at first every rule has its turn."""
        if self._is_first:
            return {}, latest_store.last_number(conn)
        return latest_store.types_since(conn, self._seen_up_to)

    def _is_asked(self, rule: AlertRule, news: Mapping[str, datetime], now: datetime) -> bool:
        due = self._due.get(rule.id)
        return (due is not None and due <= now) or not rule.listens_to().isdisjoint(news)

    def _was_due(self, rule: AlertRule, now: datetime) -> datetime:
        """Since when it is; one that could not be looked at is since then."""
        due = self._due.get(rule.id)
        if due is None or due > now:
            return now  # something has happened that it counts
        self.punctuality.late_by(now - due)
        return due

    async def _run(self, rule: AlertRule, news: Mapping[str, datetime], now: datetime) -> None:
        """Until this has ended well the rule stays due.

        What was written between the cycle's look at the clock and this one's into the database is dated later
        than `now` and in no window yet: it is looked at when its instant has come.
        """
        with self.punctuality.look(rule.id):
            looks = await self._storage.read(lambda conn: self._looks(conn, rule, now))
            due = [(await self._settle(rule, look, now) if look.is_news else look).due_at for look in looks]
        ahead = [at for type, at in news.items() if at > now and type in rule.listens_to()]
        self._due.pop(rule.id)
        if (first := min((at for at in (*due, *ahead) if at is not None), default=None)) is not None:
            self._due[rule.id] = first

    def _looks(self, conn: Connection, rule: AlertRule, now: datetime) -> list[Look]:
        source = Stored(conn, self._knows_running)
        bearers = [*source.bearers(rule, now + MILLISECOND)]
        # What made an alert fire may be no reason any more to the rule as its file is now: it must end all
        # the same.
        known = (alert for alert in store.of_rules(conn, [rule.id]) if alert.state in UNSETTLED)
        left = [labels_of(rule, alert) for alert in known if looks_at(rule, alert)]
        bearers += [labels for labels in left if labels not in bearers]
        return [self._look(source, rule, labels, now, UNNAMED) for labels in bearers]

    def _look(self, source: Stored, rule: AlertRule, labels: Labels, now: datetime, new: NewIds) -> Look:
        found = store.find(source.conn, rule.id, fingerprint(rule.id, alert_labels(rule, labels)))
        alert = found or unseen(rule, labels, now=now, alert_id=new.alert_id)
        looked = look(rule, self._objectives, alert, source, now=now, episode_id=new.episode_id)
        return replace(looked, before=found)

    async def _settle(self, rule: AlertRule, seen: Look, now: datetime) -> Look:
        """Look again where nobody can come between, and write what is found."""
        labels = labels_of(rule, seen.reaction.alert)
        new = NewIds(alert_id=self._ids.new("alert"), episode_id=self._ids.uuid())

        def take(conn: Connection) -> Look:
            found = self.examine(conn, rule, labels, now, new)
            if found.is_news:
                store.save(conn, found.reaction.alert, found.reaction.transition)
            return found

        taken = await self._storage.write(take)
        _tell(taken.reaction, rule)
        return taken

    def _left(self, conn: Connection) -> list[Alert]:
        """Alerts that fire or are about to, and that no rule looks at any more: nothing else ends them."""
        unsettled = store.listed(conn, UNSETTLED)
        return [alert for alert in unsettled if not any(looks_at(rule, alert) for rule in self.rules)]

    async def _retire(self, alert: Alert, now: datetime) -> None:
        is_known = alert.rule_id in {rule.id for rule in self.rules}
        reaction = retire(alert, reason=RULE_CHANGED if is_known else RULE_GONE, now=now)
        await self._storage.write(lambda conn: store.save(conn, reaction.alert, reaction.transition))
        _tell(reaction, None)


def _tell(reaction: Reaction, rule: AlertRule | None) -> None:
    """Write a change into the log; what disturbs nobody does not stand out there either."""
    change = reaction.transition
    if change is not None:
        write = log.info if rule is not None and rule.severity is Severity.NONE else log.warning
        write(
            "alert changed its state",
            rule=reaction.alert.rule_id,
            alert=change.alert_id,
            from_state=change.from_state.value,
            to_state=change.to_state.value,
            reason=change.reason,
        )
