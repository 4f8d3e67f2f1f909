"""The engine's module that checks the database every night, and backs it up when it is well."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import structlog

from kokino.clock import Clock
from kokino.errors import KokinoError
from kokino.integrity import store
from kokino.integrity.backups import Why
from kokino.integrity.model import Trigger
from kokino.integrity.schedule import next_after
from kokino.integrity.service import Integrity
from kokino.storage import Storage
from kokino.tasks import Tasks

log = structlog.get_logger(__name__)

#: When to try again after a night's work that failed: a full disk, a server that was away.
AFTER_FAILURE = timedelta(minutes=15)


class NightlyIntegrity:
    """Begins the night's work when it is due. A night that was missed is made up for once, at the next start.

    The service has the work itself: it is as well begun by hand.
    """

    name = "integrity"

    def __init__(
        self, storage: Storage, clock: Clock, integrity: Integrity, *, at: time | None, zone: ZoneInfo
    ) -> None:
        """`at` None switches it off; what is asked for by hand ends with this module all the same."""
        self._storage = storage
        self._clock = clock
        self._integrity = integrity
        self._at = at
        self._zone = zone
        self._tasks = Tasks()
        self._last_at: datetime | None = None
        self._not_before: datetime | None = None

    @property
    def in_flight(self) -> int:
        """Work of the night, and whatever else the service does."""
        return self._tasks.in_flight + self._integrity.in_flight

    async def stop(self) -> None:
        """Give up what is being done; it is due again at the next start."""
        await self._tasks.stop()
        await self._integrity.stop()

    @property
    def next_at(self) -> datetime | None:
        """When the next night's work is due; None where it is switched off, or nothing was looked at yet."""
        if self._at is None or self._last_at is None:
            return None
        return next_after(self._last_at, self._at, self._zone)

    async def run(self, now: datetime) -> datetime | None:
        """Begin the night's work if it is due; when it is again.

        Raises `StorageError` while a damaged database does not even take note of that: no alert can be raised
        then, so the broker is not ready, and its heartbeat stops.
        """
        await self._integrity.tell_again()
        if self._at is None:
            return None
        due_at = next_after(await self._counted_from(now), self._at, self._zone)
        if self._tasks.in_flight:
            return next_after(now, self._at, self._zone)
        if self._not_before is not None:
            due_at = max(due_at, self._not_before)
        if due_at > now:
            return due_at
        self._tasks.start(self._work(), name="nightly integrity check")
        return next_after(now, self._at, self._zone)

    async def _counted_from(self, now: datetime) -> datetime:
        """When the last nightly check was begun; a database that never saw one is young enough for now."""
        if self._last_at is None:
            self._last_at = await self._storage.read(store.nightly_at)
        if self._last_at is None:
            await self._storage.write(lambda conn: store.note_nightly(conn, now))
            self._last_at = now
        return self._last_at

    async def _work(self) -> None:
        begun_at = self._clock.now()
        try:
            report = await self._integrity.check(trigger=Trigger.NIGHTLY, by="nightly")
            # Backups of what is damaged must not drive out those of what was whole.
            if report.passed and self._integrity.backups.wants_nightly:
                backup = await self._integrity.back_up(Why.NIGHTLY)
                log.info("the database was backed up", path=str(backup.path), bytes=backup.size_bytes)
        except KokinoError as error:
            log.error("the night's work on the database failed", reason=error.message)  # noqa: TRY400 - told
            self._not_before = self._clock.now() + AFTER_FAILURE
        except Exception:  # a fault of ours: without a pause it would be begun again at once, and again
            self._not_before = self._clock.now() + AFTER_FAILURE
            raise
        else:
            self._not_before = None
            # A check that was joined had begun before the hour.
            self._last_at = max(begun_at, report.started_at)
        finally:
            self._integrity.on_change()
