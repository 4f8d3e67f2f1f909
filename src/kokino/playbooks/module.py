"""The engine's module that runs playbooks for incidents."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import Connection

from kokino.alerts import store as alert_store
from kokino.errors import StorageError
from kokino.ids import Ids
from kokino.incidents import store as incident_store
from kokino.incidents.model import BROKER, EntryKind
from kokino.playbooks import store
from kokino.playbooks.course import Course
from kokino.playbooks.library import Library
from kokino.playbooks.model import inputs_of
from kokino.playbooks.run import Run, RunState
from kokino.storage import Storage
from kokino.tasks import Tasks

log = structlog.get_logger(__name__)

#: Pause before a run goes on whose database was away.
AFTER_FAILURE = timedelta(seconds=5)


class PlaybookRuns:
    """Starts the playbook of every open incident and takes each run from stage to stage."""

    name = "playbook_runs"

    def __init__(
        self, storage: Storage, ids: Ids, library: Library, course: Course, *, wake: Callable[[], None]
    ) -> None:
        self._storage = storage
        self._ids = ids
        self._library = library
        self._course = course
        self._wake = wake
        self._tasks = Tasks()
        self._busy: set[str] = set()
        #: Runs that failed for want of the database, and when to try again.
        self._later: dict[str, datetime] = {}
        self._is_first = True

    @property
    def in_flight(self) -> int:
        """Runs whose stage is being worked on now."""
        return self._tasks.in_flight

    async def stop(self) -> None:
        """End what runs; the next broker goes on with it."""
        await self._tasks.stop()

    async def run(self, now: datetime) -> datetime | None:
        """Start and advance runs; when the first of those that wait is due."""
        if self._is_first:
            await self._storage.write(lambda conn: store.close_uncertain(conn, now=now))
            self._is_first = False
        if await self._storage.read(store.uncovered):
            await self._storage.write(lambda conn: self._begin(conn, now))
        waiting = []
        for run in await self._storage.read(store.unfinished):
            if run.run_id in self._busy:
                continue
            due_at = self._later.get(run.run_id) or run.due_at
            if due_at is not None and due_at > now:
                waiting.append(due_at)
            else:
                self._start(run)
        return min(waiting, default=None)

    def _begin(self, conn: Connection, now: datetime) -> None:
        for rule_id, alert_id, episode_id, incident in store.uncovered(conn):
            playbook = self._library.for_alert(rule_id)
            if playbook is not None:
                run_id = self._ids.new("run")
                store.begin(
                    conn,
                    run_id,
                    playbook,
                    alert_id=alert_id,
                    episode_id=episode_id,
                    incident=incident,
                    inputs=inputs_of(alert_store.get(conn, alert_id).labels),
                    now=now,
                )

    def _start(self, run: Run) -> None:
        self._later.pop(run.run_id, None)
        self._busy.add(run.run_id)
        self._tasks.start(self._advance(run), name=f"playbook run {run.run_id}")

    async def _advance(self, seen: Run) -> None:
        run = seen
        try:
            # Its last stage may have ended between that look and now: only here does it stand still.
            run = await self._storage.read(lambda conn: store.required(conn, seen.run_id))
            if run.state.is_end or run.due_at != seen.due_at:
                return
            playbook = self._library.playbooks.get(run.playbook_id)
            if playbook is None or playbook.digest != run.playbook_hash:
                await self._storage.write(partial(self._abandon, run=run))
            else:
                await self._course.advance(run, playbook)
        except StorageError as error:
            # The database will be back, and the run stands where it stood: what was written is whole.
            log.error("a playbook run waits for the database", run=run.run_id, reason=error.message)  # noqa: TRY400
            self._later[run.run_id] = self._course.clock.now() + AFTER_FAILURE
        except Exception as error:
            # A fault of ours must not leave the run hanging: people take over.
            log.exception("a playbook run failed", run=run.run_id)
            reason = f"an error inside the broker: {error}"
            await self._storage.write(partial(self._fail, run=run, reason=reason))
        finally:
            self._busy.discard(run.run_id)
            self._wake()

    def _abandon(self, conn: Connection, run: Run) -> None:
        self._fail(conn, run, "the document has changed since the run began")

    def _fail(self, conn: Connection, run: Run, reason: str) -> None:
        now = self._course.clock.now()
        text = f"The playbook can do no more: {reason}."
        incident_store.append(
            conn, run.incident, at=now, kind=EntryKind.HANDED_OVER, author=BROKER, text=text
        )
        store.move(conn, run.run_id, RunState.ESCALATED, reason=reason, now=now)
