"""The engine's module that ends silences whose alerts are over, and tells people before one ends."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from kokino.alerts import silence_store
from kokino.alerts import store as alert_store
from kokino.alerts.model import Alert, Phase
from kokino.alerts.silence import Silence, facts_of
from kokino.barrier import Barrier
from kokino.clock import iso
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
        firing = await self._storage.read(partial(self._firing, silence=silence))
        if silence.until_resolved and not firing:
            await self._storage.write(partial(silence_store.end, silence_id=silence.silence_id, at=now))
        elif silence.noticed_at is None and silence.notice_at <= now:
            await self._storage.write(partial(self._tell, silence=silence, now=now))

    def _tell(self, conn: Connection, silence: Silence, now: datetime) -> None:
        """Those who were told of an alert that still fires hear that they will be told again."""
        silence_store.note_notice(conn, silence.silence_id, at=now)
        said = f"by {silence.created_by} ends at {iso(silence.ends_at)}: {silence.comment}"
        for alert in self._firing(conn, silence):
            self._desk.follow_up(conn, Subject.of(alert), Action.UPDATE, now, ("Silence", said))

    def _firing(self, conn: Connection, silence: Silence) -> list[Alert]:
        """What it keeps quiet."""
        return [
            alert
            for alert in alert_store.listed(conn, (Phase.FIRING,))
            if silence.fits(facts_of(alert, self._desk.rules.get(alert.rule_id)))
        ]
