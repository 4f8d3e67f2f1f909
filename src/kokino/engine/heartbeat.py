"""A dead man's switch elsewhere hears of this broker as long as it would page somebody, and of nothing else.

It raises the alarm when it hears nothing, so it must never hear of a broker whose rules are not looked at, or
whose database takes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import httpx
import structlog
from prometheus_client import Counter, Gauge
from prometheus_client.core import Metric
from sqlalchemy import Connection

from kokino.alerts.punctuality import Punctuality
from kokino.errors import StorageError
from kokino.storage import Storage
from kokino.storage.installation import note_beat
from kokino.tasks import Tasks

log = structlog.get_logger(__name__)

#: How long one beat may take, in seconds: less than the shortest interval.
DEADLINE = 8.0
SHORTEST_INTERVAL = timedelta(seconds=10)


class Heartbeat:
    """The engine's module that asks for a URL, again and again, while all is well.

    It stands behind the alert rules, so that they have had their turn when it has its own. A beat that fails
    is not tried again before the next is due.
    """

    name = "heartbeat"

    def __init__(
        self,
        url: str,
        every: timedelta,
        *,
        rules: Punctuality,
        storage: Storage,
        client: httpx.AsyncClient,
        untold: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`url` is a secret: whoever has it can keep the alarm from being raised.

        `untold` is a fault that no alert can tell of, or None.
        """
        self._url = url
        self._every = every
        self._rules = rules
        self._storage = storage
        self._client = client
        self._untold = untold
        self._tasks = Tasks()
        self._due_at: datetime | None = None
        #: When the last beat was begun, sent or not.
        self._last_at: datetime | None = None
        #: Why the last beat was not heard; None where it was, and before the first.
        self.fault: str | None = None
        self._heard = Counter("kokino_heartbeats", "Heartbeats that were heard.", registry=None)
        self._missed = Counter(
            "kokino_heartbeats_missed", "Heartbeats that were not sent, or not heard.", registry=None
        )
        self._up = Gauge("kokino_heartbeat_up", "1 when the last heartbeat was heard.", registry=None)

    @property
    def in_flight(self) -> int:
        """1 while a beat is on its way."""
        return self._tasks.in_flight

    async def run(self, now: datetime) -> datetime | None:
        """Begin a beat when it is due; one that is on its way is waited for, not doubled."""
        if self._due_at is None or self._due_at <= now:
            self._due_at = now + self._every
            if not self._tasks.in_flight:
                self._tasks.start(self._beat(now, since=self._last_at), name="heartbeat")
                self._last_at = now
        return self._due_at

    async def stop(self) -> None:
        """Let go of a beat that is on its way."""
        await self._tasks.stop()

    def collect(self) -> Iterator[Metric]:
        """As metric families."""
        for one in (self._heard, self._missed, self._up):
            yield from one.collect()

    async def _beat(self, now: datetime, *, since: datetime | None) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                fault = self._unwell(since) or await self._unwritable(now) or await self._unheard()
        except TimeoutError:
            fault = f"it was not heard within {DEADLINE:g} s"
        self._note(fault)

    def _unwell(self, since: datetime | None) -> str | None:
        fault = self._rules.fault_since(since) or self._untold()
        return None if fault is None else f"not sent, for {fault}"

    async def _unwritable(self, now: datetime) -> str | None:
        def note(conn: Connection) -> None:
            note_beat(conn, now)

        try:
            await self._storage.write(note)
        except StorageError as error:
            return f"not sent, for the database takes nothing: {error.message}"
        return None

    async def _unheard(self) -> str | None:
        """Why the URL did not answer as it should, without a word of the URL."""
        try:
            async with self._client.stream("GET", self._url, headers={"User-Agent": "kokino"}) as answer:
                return None if answer.is_success else f"not heard: answered with {answer.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"not heard: {type(error).__name__}"

    def _note(self, fault: str | None) -> None:
        (self._heard if fault is None else self._missed).inc()
        self._up.set(fault is None)
        if fault != self.fault:  # once per change: who reads the log has read it
            if fault is None:
                log.info("the heartbeat is heard again")
            else:
                log.warning("the heartbeat fails", reason=fault)
        self.fault = fault
