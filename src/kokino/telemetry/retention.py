"""What is old is deleted, a little at a time: whoever wants to write waits for one batch at the most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

import structlog

from kokino.barrier import Barrier
from kokino.storage import Storage
from kokino.storage.shelf import Shelf

log = structlog.get_logger(__name__)

#: How often tables are looked through in which nothing old was left.
INTERVAL = timedelta(days=1)
#: Rows that one transaction deletes: a few milliseconds of the writer's time.
AT_ONCE = 500


class Retention:
    """The engine's module that deletes what is older than its table's rows are kept.

    One run deletes one batch of each table, in a transaction of its own. While there is more it is due again
    at once: after every other module has had its turn, and every write that waited its own.
    """

    name = "retention"

    def __init__(self, storage: Storage, kept: Mapping[Shelf, timedelta], *, at_once: int = AT_ONCE) -> None:
        """`kept` says how long the rows of each table are."""
        self._storage = storage
        self._kept = kept
        self._at_once = at_once
        self._due_at: datetime | None = None
        #: Rows by table that went since there was last nothing to do.
        self._gone: Counter[str] = Counter()

    async def run(self, now: datetime) -> datetime | None:
        """Delete a batch of each table where it is time to; when it is again.

        Raises `Faults` once each had its turn.
        """
        if self._due_at is None or self._due_at <= now:
            with Barrier() as barrier:
                found = await barrier.each(
                    self._kept, partial(self._thin_out, now=now), name=lambda shelf: shelf.name
                )
            self._due_at = now if any(found) else now + INTERVAL
            if not any(found):
                self._tell()
        return self._due_at

    async def _thin_out(self, shelf: Shelf, now: datetime) -> bool:
        """Delete some of what is older; true where there may be more."""
        than = now - self._kept[shelf]
        keys = await self._storage.read(lambda conn: shelf.find(conn, than=than, limit=self._at_once))
        if keys:
            await self._storage.write(lambda conn: shelf.delete(conn, keys, than=than))
            self._gone[shelf.name] += len(keys)
        return len(keys) == self._at_once

    def _tell(self) -> None:
        if self._gone:
            log.info("what was old is no longer kept", **self._gone)
            self._gone.clear()
