"""The engine's module that tells Alertmanagers again and again what still fires."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from kokino.alerts import rule as alert_rule
from kokino.alerts import store as alert_store
from kokino.alerts.model import Alert, Phase
from kokino.alerts.punctuality import Punctuality
from kokino.escalation import plan as planning
from kokino.escalation import store
from kokino.escalation.desk import ALL, Desk
from kokino.notify import store as outbox
from kokino.notify.channels.alertmanager import STANDS, AlertmanagerChannel, Round, Standing
from kokino.notify.model import Action, Delivery, DeliveryState
from kokino.storage import Storage
from kokino.tasks import Tasks

INTERVAL = timedelta(minutes=1)


class Repeats:
    """Nothing of it is decided here: what a receiver has taken is said again until its end is on its way,
    and so is that end, as long as an earlier word of ours may stand.

    It stands behind the alert rules: a watchdog is no sign of life where they were not looked at.
    """

    name = "repeats"

    def __init__(
        self,
        storage: Storage,
        desk: Desk,
        channels: Mapping[str, AlertmanagerChannel],
        rules: Punctuality,
    ) -> None:
        """`channels` by receiver."""
        self._storage = storage
        self._desk = desk
        self._channels = channels
        self._rules = rules
        self.tasks = Tasks()
        self._due_at: datetime | None = None
        self._last_at: datetime | None = None

    @property
    def in_flight(self) -> int:
        """1 while receivers are being told."""
        return self.tasks.in_flight

    async def run(self, now: datetime) -> datetime | None:
        """Begin a round when it is due; one that goes on is waited for, not doubled."""
        if self._due_at is None or self._due_at <= now:
            self._due_at = now + INTERVAL
            if not self.tasks.in_flight:
                is_alive = self._rules.fault_since(self._last_at) is None
                self.tasks.start(self._repeat(now, is_alive=is_alive), name="repeats")
                self._last_at = now
        return self._due_at

    async def stop(self) -> None:
        """Let go of a round that goes on."""
        await self.tasks.stop()

    async def _repeat(self, now: datetime, *, is_alive: bool) -> None:
        def read_for(name: str) -> Callable[[], Awaitable[Round]]:
            look = partial(self._round, name=name, now=now, is_alive=is_alive)
            return lambda: self._storage.read(look)

        await asyncio.gather(*(channel.repeat(read_for(name)) for name, channel in self._channels.items()))

    def _round(self, conn: Connection, name: str, now: datetime, *, is_alive: bool) -> Round:
        fires: list[Delivery] = []
        quiet: list[Delivery] = []
        for episode_id in store.unfinished(conn):
            deliveries = outbox.deliveries(conn, episode_id=episode_id, limit=ALL)
            latest = to_repeat([each for each in deliveries if each.receiver == name])
            (quiet if latest and self._is_quiet(conn, episode_id, now) else fires).extend(latest)
        return Round(
            fires=fires,
            quiet=quiet,
            ends=outbox.ends(conn, receiver=name, since=now - STANDS),
            watchdogs=self._watchdogs(conn) if is_alive else (),
        )

    def _is_quiet(self, conn: Connection, episode_id: str, now: datetime) -> bool:
        plan = planning.make(conn, self._desk, episode_id, now)
        return plan is not None and plan.facts.quiet is not None

    def _watchdogs(self, conn: Connection) -> list[Standing]:
        firing = alert_store.listed(conn, (Phase.FIRING,))
        return [self._standing(one) for one in firing if self._is_silent(one.rule_id)]

    def _is_silent(self, rule_id: str) -> bool:
        rule = self._desk.rules.get(rule_id)
        return rule is not None and str(rule.severity) == alert_rule.Severity.NONE

    def _standing(self, alert: Alert) -> Standing:
        rule = self._desk.rules[alert.rule_id]
        return Standing(
            rule_id=alert.rule_id,
            owner=rule.owner,
            title=rule.title,
            since=alert.firing_at or alert.since,
            source=self._desk.installation,
        )


def to_repeat(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """The last one that a receiver has taken of an episode; none once its end is on its way."""
    if any(each.action is Action.RESOLVE for each in deliveries):
        return []
    taken = [each for each in deliveries if each.state is DeliveryState.DELIVERED]
    return sorted(taken, key=lambda each: each.delivery_id)[-1:]
