"""The engine's module that keeps the review documents on disk up to date with the timelines."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Connection

from kokino.barrier import Barrier
from kokino.incidents import impact_store, store
from kokino.incidents.document import Story, render
from kokino.incidents.evidence import PlaybookFacts
from kokino.incidents.files import rewrite
from kokino.incidents.impact import Impact
from kokino.incidents.model import EntryKind, Incident, TimelineEntry, incident_id
from kokino.slo.model import Objective
from kokino.storage import Storage

log = structlog.get_logger(__name__)

#: A folder that cannot be written to is tried again after this.
RETRY_AFTER = timedelta(minutes=1)


class IncidentDocuments:
    """Writes ``incidents/incident-….md`` whenever a timeline has moved on."""

    name = "incident_documents"

    def __init__(
        self,
        storage: Storage,
        folder: Path,
        *,
        availability: Objective,
        runs: PlaybookFacts,
        zone: tzinfo = UTC,
    ) -> None:
        """`folder` holds the documents, made with the first one; `zone` is that of their times.

        What an incident cost is measured by `availability`; `runs` knows what the playbooks did.
        """
        self._storage = storage
        self._folder = folder
        self._availability = availability
        self._runs = runs
        self._zone = zone

    async def run(self, now: datetime) -> datetime | None:
        """Write every document that is behind; what cannot be written is tried again in a minute.

        Raises `Faults` once each had its turn.
        """
        numbers = await self._storage.read(store.undocumented)
        with Barrier() as barrier:
            written = await barrier.each(numbers, partial(self._write, now=now), name=incident_id)
        return None if all(written) else now + RETRY_AFTER

    async def _write(self, number: int, now: datetime) -> bool:
        story = await self._storage.read(lambda conn: self._story(conn, number, now))
        path = self._folder / story.incident.document
        try:
            await asyncio.to_thread(rewrite, path, lambda existing: render(story, existing))
        except (OSError, UnicodeDecodeError) as error:
            log.warning("a review document cannot be written", path=str(path), error=str(error))
            return False
        up_to = story.entries[-1].entry_id
        await self._storage.write(lambda conn: store.documented(conn, number, up_to=up_to))
        return True

    def _story(self, conn: Connection, number: int, now: datetime) -> Story:
        incident = store.get(conn, number)
        entries = store.entries(conn, number)
        return Story(
            incident=incident,
            entries=entries,
            evidence=self._runs.evidence(conn, number),
            impact=self._impact(conn, incident, entries, now),
            zone=self._zone,
        )

    def _impact(
        self, conn: Connection, incident: Incident, entries: list[TimelineEntry], now: datetime
    ) -> Impact:
        """As it was counted at the end, for events do not stay for ever; counted now while it goes on."""
        for entry in entries:
            if entry.kind is EntryKind.RESOLVED and "impact" in entry.data:
                return Impact.from_data(entry.data["impact"])
        until = incident.resolved_at or now
        return impact_store.impact(conn, incident, until=until, availability=self._availability)
