"""How an alert that receivers were told of stands now: read when they are told again, not remembered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from kokino.clock import Clock
from kokino.escalation import plan as planning
from kokino.escalation.desk import Desk
from kokino.notify import store as outbox
from kokino.notify.channels.alertmanager import Stands
from kokino.notify.model import Delivery
from kokino.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """Answers a channel from the database, so a restart forgets no end and no silence."""

    storage: Storage
    clock: Clock
    desk: Desk

    async def of(self, delivery: Delivery) -> Stands:
        """How it stands; what is about no alert is as it was queued."""
        return await self.storage.read(partial(self._look, delivery=delivery))

    def _look(self, conn: Connection, delivery: Delivery) -> Stands:
        episode_id = delivery.episode_id
        if episode_id is None:
            return Stands.FIRES
        if outbox.is_ended(conn, receiver=delivery.receiver, episode_id=episode_id):
            return Stands.OVER
        plan = planning.make(conn, self.desk, episode_id, self.clock.now())
        return Stands.FIRES if plan is None or plan.facts.quiet is None else Stands.QUIET
