"""Check the database and back it up, one thing at a time: what people and the nightly run ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import Connection

from kokino.clock import Clock, Stopwatch
from kokino.errors import Conflict, StorageError
from kokino.ids import Ids
from kokino.integrity import checks, events, store
from kokino.integrity.backups import Backup, Backups, Why
from kokino.integrity.model import Report, Trigger
from kokino.storage import Storage
from kokino.tasks import Tasks
from kokino.telemetry import store as telemetry

log = structlog.get_logger(__name__)

#: What a server's database is backed up with, for people to paste.
PG_DUMP = 'pg_dump --format=custom --file=kokino.dump "$KOKINO_DATABASE_URL"'


@dataclass(slots=True, kw_only=True)
class Integrity:
    """One check, cleanup or backup at a time; whoever asks for a check while one is made gets that one."""

    storage: Storage
    clock: Clock
    ids: Ids
    backups: Backups
    #: Alerts wait for what a check tells.
    on_change: Callable[[], None]
    #: Held by whoever looks or changes: `checked`, `looked` and `secured` are for those.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _tasks: Tasks = field(default_factory=Tasks)
    _running: asyncio.Task[Report] | None = None
    #: The last check, where the damaged database took no note of it.
    _untold: Report | None = None

    @property
    def in_flight(self) -> int:
        """How many pieces of work have not ended."""
        return self._tasks.in_flight

    @property
    def untold(self) -> str | None:
        """What was found and nobody heard of, for the database took no note of it; None as a rule."""
        return None if self._untold is None else self._untold.findings[0].message

    async def tell_again(self) -> None:
        """Write down what could not be written. Raises `StorageError` while it still cannot."""
        report = self._untold
        if report is None:
            return
        try:
            await self._write(report)
        except StorageError as error:
            raise StorageError(
                f"{report.findings[0].message}; it takes no note of that: {error.message}"
            ) from error

    async def stop(self) -> None:
        """Give up what is being looked at."""
        await self._tasks.stop()

    async def check(self, *, trigger: Trigger = Trigger.ASKED, by: str) -> Report:
        """Look through the whole database and write down what was found, with the events that tell of it.

        Goes on though its caller goes away. Raises `StorageError` where the database cannot be read.
        """
        asked_at = self.clock.now()
        if self._running is None:
            self._running = self._tasks.start(self._in_turn(trigger, by), name="integrity check")
            self._running.add_done_callback(self._over)
        report = await asyncio.shield(self._running)
        if trigger is Trigger.NIGHTLY and report.trigger is not trigger:
            # It joined one that somebody had asked for: that was the night's all the same.
            await self.storage.write(lambda conn: store.note_nightly(conn, asked_at))
        return report

    async def back_up(self, why: Why = Why.ASKED) -> Backup:
        """Copy the database. Raises as `Backups.make` does."""
        async with self.turn:
            return await self.backups.make(why, self.clock.now())

    async def checked(self, *, trigger: Trigger, by: str) -> Report:
        """As `check`, for one who holds the turn."""
        report = await self.looked(trigger=trigger, by=by)
        await self._tell(report)
        return report

    async def looked(self, *, trigger: Trigger, by: str) -> Report:
        """As `checked`, but nothing is written down, so nobody hears of it."""
        started_at, watch = self.clock.now(), Stopwatch()
        seen = await checks.look(self.storage)
        return seen.report(
            check_id=self.ids.new("check"),
            trigger=trigger,
            by=by,
            started_at=started_at,
            took=timedelta(seconds=watch.seconds),
        )

    async def secured(self, reference: str | None) -> str:
        """The backup that must be there before anything is deleted; `reference` names a caller's own.

        Raises `Conflict` where a server's database has none, and `StorageError` where none could be made.
        """
        if self.backups.database is not None:
            return str((await self.backups.make(Why.CLEANUP, self.clock.now())).path)
        if reference is None:
            raise Conflict(
                "nothing was deleted: this database is a PostgreSQL server's, which Kokino does not copy."
                f" Make a backup, for instance with {PG_DUMP}, then name it:"
                ' {"backup": "kokino.dump on the backup host"}'
            )
        return reference

    async def history(self, *, limit: int) -> Sequence[Report]:
        """The last checks, the newest first."""
        return await self.storage.read(partial(store.latest, limit=limit))

    def _over(self, _check: asyncio.Task[Report]) -> None:
        self._running = None

    async def _in_turn(self, trigger: Trigger, by: str) -> Report:
        async with self.turn:
            return await self.checked(trigger=trigger, by=by)

    async def _tell(self, report: Report) -> None:
        """Write it down. A damaged file may not take that: then the engine's module fails until it does."""
        if not report.passed:
            log.error(
                "an integrity check found faults",
                check=report.check_id,
                counts={kind.value: count for kind, count in report.counts.items()},
                first=report.findings[0].message,
                not_checked=report.not_checked,
            )
        try:
            await self._write(report)
        except StorageError as error:
            if not report.is_damaged:
                raise
            self._untold = report
            log.error("the damaged database took no note of it", reason=error.message)  # noqa: TRY400 - known
        self.on_change()

    async def _write(self, report: Report) -> None:
        await self.storage.write(partial(_record, report=report, now=self.clock.now()))
        self._untold = None


def _record(conn: Connection, report: Report, now: datetime) -> None:
    store.record(conn, report)
    for event in events.of_report(report, at=now):
        telemetry.append(conn, event)
    if report.trigger is Trigger.NIGHTLY:
        store.note_nightly(conn, report.started_at)
