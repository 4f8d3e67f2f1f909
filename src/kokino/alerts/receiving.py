"""Take what an Alertmanager says: each alert of it that is news becomes an event, which wakes the rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from kokino.alerts import received_store
from kokino.alerts.received import Told, news
from kokino.storage import Storage
from kokino.telemetry import store as telemetry_store
from kokino.telemetry.model import Event, EventType

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of the alerts of one message."""

    #: Those that began to fire, ended, or were told of again after a while.
    noted: int
    #: Those of which nothing new was said.
    known: int
    #: This broker's own, which an Alertmanager sent back: told again, they would go round for ever.
    own: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiving:
    """What the hook hands its alerts to."""

    storage: Storage
    #: The label and value that this broker's own alerts bear.
    own: tuple[str, str]
    #: Called when something was noted.
    on_change: Callable[[], None]

    async def take(self, said: Sequence[Told]) -> Taken:
        """Note what is new, all or nothing."""
        foreign = [one for one in said if self.own not in one.labels.items()]
        noted = await self.storage.write(lambda conn: sum(_note(conn, one) for one in foreign))
        if noted:
            self.on_change()
        taken = Taken(noted=noted, known=len(foreign) - noted, own=len(said) - len(foreign))
        log.info("alerts received", noted=taken.noted, known=taken.known, own=taken.own)
        return taken


def _note(conn: Connection, said: Told) -> bool:
    told = news(received_store.find(conn, said.fingerprint), said)
    if told is None:
        return False
    received_store.save(conn, told)
    event = Event(type=EventType.ALERT_RECEIVED, at=told.at, message=told.summary, data=told.to_data())
    telemetry_store.append(conn, event)
    return True
