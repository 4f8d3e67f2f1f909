"""A person says that they look after an alert, or after all alerts of an incident."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from kokino.errors import Conflict, NotFound
from kokino.escalation import store
from kokino.escalation.desk import Desk
from kokino.escalation.model import Acknowledgement
from kokino.escalation.store import Subject
from kokino.incidents import episode_store, words
from kokino.incidents import store as incident_store
from kokino.incidents.model import EntryKind, incident_id
from kokino.notify.model import Action
from kokino.storage import Storage


class Acknowledgements:
    """Stores acknowledgements, once, on the alert's episode, and tells whoever was told."""

    def __init__(self, storage: Storage, desk: Desk) -> None:
        self._storage = storage
        self._desk = desk

    async def acknowledge_alert(self, alert_id: str, *, by: str, now: datetime) -> Acknowledgement:
        """`by` looks after an alert. Raises `NotFound`, and `Conflict` for one that does not fire."""
        return await self._storage.write(partial(self._alert, alert_id=alert_id, by=by, now=now))

    async def acknowledge_incident(self, number: int, *, by: str, now: datetime) -> list[Acknowledgement]:
        """The same for every alert of an incident that fires; `Conflict` where none does."""
        return await self._storage.write(partial(self._incident, number=number, by=by, now=now))

    def _incident(self, conn: Connection, number: int, by: str, now: datetime) -> list[Acknowledgement]:
        incident_store.get(conn, number)
        covered = set(incident_store.episodes(conn, number))
        firing = [episode for episode in episode_store.firing(conn) if episode.episode_id in covered]
        if not firing:
            raise Conflict(f"none of the alerts of {incident_id(number)} fires any more")
        return [self._alert(conn, episode.alert_id, by, now) for episode in firing]

    def _alert(self, conn: Connection, alert_id: str, by: str, now: datetime) -> Acknowledgement:
        subject = store.subject(conn, alert_id)
        if subject is None or subject.rule_id not in self._desk.rules:
            raise NotFound(f"there is no alert {alert_id!r}")
        if not subject.is_firing:
            raise Conflict(f"the alert {alert_id!r} does not fire: there is nothing to acknowledge")
        lasts = self._desk.policy(subject).handling.acknowledgement_lasts
        given = Acknowledgement(by=by, at=now, ends_at=None if lasts is None else now + lasts)
        store.acknowledge(conn, alert_id, given)
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
