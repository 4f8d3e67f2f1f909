"""The engine's module that ends silences whose alerts are over, and tells people before one ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from kokino.alerts import silence_store
from kokino.alerts import store as alert_store
from kokino.alerts.model import Alert, Phase
from kokino.alerts.silence import Silence, facts_of, keeping_quiet
from kokino.barrier import Barrier
from kokino.clock import spoken
from kokino.escalation import store
from kokino.escalation.desk import Desk
from kokino.escalation.model import Subject
from kokino.notify.model import Action
from kokino.storage import Storage


class Silences:
    """Nobody has to remember that something is silenced."""

    name = "silences"

    def __init__(self, storage: Storage, desk: Desk) -> None:
        self._storage = storage
        self._desk = desk

    async def run(self, now: datetime) -> datetime | None:
        """End and tell what is due at `now`; when the next one ends or has to be told of."""
        active = await self._storage.read(partial(silence_store.active, now=now))
        with Barrier() as barrier:
            await barrier.each(active, partial(self._keep, now=now), name=lambda one: one.silence_id)
        edges = [edge for one in active for edge in (one.notice_at, one.ends_at) if edge > now]
        return min(edges, default=None)

    async def _keep(self, silence: Silence, now: datetime) -> None:
        if await self._storage.read(lambda conn: self._is_over(conn, silence) or _is_near(silence, now)):
            await self._storage.write(partial(self._settle, silence_id=silence.silence_id, now=now))

    def _settle(self, conn: Connection, silence_id: str, now: datetime) -> None:
        """Look again where nobody can come between: an alert may fire anew, a person may end the silence."""
        silence = silence_store.get(conn, silence_id)
        if not silence.is_active(now):
            return
        if self._is_over(conn, silence):
            silence_store.end(conn, silence_id, at=now)
        elif _is_near(silence, now):
            self._tell(conn, silence, now)

    def _is_over(self, conn: Connection, silence: Silence) -> bool:
        return silence.until_resolved and not self._firing(conn, silence)

    def _tell(self, conn: Connection, silence: Silence, now: datetime) -> None:
        """Those who were told of an alert that still fires hear that they will be told again.

        Not of one that another silence keeps quiet for longer; and once of those that are told of together.
        """
        active = silence_store.active(conn, now=now)
        silence_store.note_notice(conn, silence.silence_id, at=now)
        said = f"by {silence.created_by} ends at {spoken(silence.ends_at)}: {silence.comment}"
        told = {
            _telling(conn, alert)
            for alert in self._firing(conn, silence)
            if keeping_quiet(active, self._facts(alert), now) == silence
        }
        for alert_id, episode_id in sorted(told):
            subject = replace(Subject.of(alert_store.get(conn, alert_id)), episode_id=episode_id)
            self._desk.follow_up(conn, subject, Action.UPDATE, now, ("Silence", said))

    def _firing(self, conn: Connection, silence: Silence) -> list[Alert]:
        """What it keeps quiet."""
        firing = alert_store.listed(conn, (Phase.FIRING,))
        return [alert for alert in firing if silence.fits(self._facts(alert))]

    def _facts(self, alert: Alert) -> dict[str, str]:
        return facts_of(alert, self._desk.rules.get(alert.rule_id))


def _is_near(silence: Silence, now: datetime) -> bool:
    return silence.noticed_at is None and silence.notice_at <= now


def _telling(conn: Connection, alert: Alert) -> tuple[str, str]:
    """The alert and episode whose messages tell of this one."""
    own = store.get(conn, str(alert.episode_id))
    if own is None:
        return alert.alert_id, str(alert.episode_id)
    first = store.leading(conn, own)
    return first.alert_id, first.episode_id
