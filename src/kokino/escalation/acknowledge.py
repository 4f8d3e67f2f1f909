"""A person says that they look after an alert, or after all alerts of an incident."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from kokino.alerts import episode_store
from kokino.alerts import store as alert_store
from kokino.errors import Conflict
from kokino.escalation.desk import Desk
from kokino.escalation.model import Acknowledgement, Subject
from kokino.incidents import store as incident_store
from kokino.incidents import words
from kokino.incidents.model import EntryKind, incident_id
from kokino.notify.model import Action
from kokino.storage import Storage


class Acknowledgements:
    """Stores acknowledgements, once, on the alert's episode, and tells whoever was told."""

    def __init__(self, storage: Storage, desk: Desk, *, on_change: Callable[[], None]) -> None:
        """`on_change` is called after each: messages go out, and tiers may be held back."""
        self._storage = storage
        self._desk = desk
        self._on_change = on_change

    async def acknowledge_alert(self, alert_id: str, *, by: str, now: datetime) -> Acknowledgement:
        """`by` looks after an alert. Raises `NotFound`, and `Conflict` for one that does not fire."""
        given = await self._storage.write(partial(self._alert, alert_id=alert_id, by=by, now=now))
        self._on_change()
        return given

    async def acknowledge_incident(self, number: int, *, by: str, now: datetime) -> list[Acknowledgement]:
        """The same for every alert of an incident that fires; `Conflict` where none does."""
        given = await self._storage.write(partial(self._incident, number=number, by=by, now=now))
        self._on_change()
        return given

    def _incident(self, conn: Connection, number: int, by: str, now: datetime) -> list[Acknowledgement]:
        incident_store.get(conn, number)
        covered = set(incident_store.episodes(conn, number))
        firing = [episode for episode in episode_store.firing(conn) if episode.episode_id in covered]
        if not firing:
            raise Conflict(f"none of the alerts of {incident_id(number)} fires any more")
        return [self._alert(conn, episode.alert_id, by, now) for episode in firing]

    def _alert(self, conn: Connection, alert_id: str, by: str, now: datetime) -> Acknowledgement:
        subject = Subject.of(alert_store.get(conn, alert_id))
        lasts = self._desk.policy(conn, subject).handling.acknowledgement_lasts
        given = Acknowledgement(by=by, at=now, ends_at=None if lasts is None else now + lasts)
        alert_store.acknowledge(conn, alert_id, by=given.by, at=given.at, ends_at=given.ends_at)
        self._tell(conn, subject, given)
        return given

    def _tell(self, conn: Connection, subject: Subject, given: Acknowledgement) -> None:
        until = "" if given.ends_at is None else f", for {words.length(given.ends_at - given.at)}"
        said = f"by {given.by}{until}"
        self._desk.follow_up(conn, subject, Action.ACKNOWLEDGE, given.at, ("Acknowledged", said))
        if (incident := self._desk.incident(conn, subject)) is not None:
            incident_store.append(
                conn,
                incident.number,
                at=given.at,
                kind=EntryKind.ACKNOWLEDGED,
                author=given.by,
                text=f"Acknowledged{until}",
            )
