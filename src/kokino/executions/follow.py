"""Follow one running execution until its tree is gone: record its output, keep its deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from kokino.agents.drivers.contract import Reader
from kokino.agents.model import Limits
from kokino.clock import Clock
from kokino.errors import StorageError
from kokino.executions import store
from kokino.executions.ending import Stop
from kokino.executions.lines import Line
from kokino.executions.model import Execution, Record
from kokino.executions.spool import Spool, Tail
from kokino.storage import Storage
from kokino.storage.text import storable

log = structlog.get_logger(__name__)

#: A record keeps this much of its line, in characters; its `size` tells how long the line was.
KEPT = 64 * 1024
#: How long to wait before looking at a silent stream again, in seconds. The end itself is told by the keeper,
#: so this delays only what people watch: half of what an eye notices.
LOOK_AGAIN = 0.05
#: Pause after a write that failed, in seconds: another program's lock, a full disk, a restart.
AFTER_FAILURE = 1.0


@dataclass(slots=True)
class Stream:
    """One of the two outputs."""

    name: str
    tail: Tail
    take: Callable[[bytes], None]
    #: Lines that an earlier broker has recorded: they are read again, for the reader, but not kept twice.
    recorded: int = 0


@dataclass(slots=True)
class Follow:
    """One running execution, seen from the broker."""

    execution: Execution
    limits: Limits
    reader: Reader
    spool: Spool
    storage: Storage
    clock: Clock
    #: Asks the keeper to end the tree.
    stop_tree: Callable[[], object]
    #: Called after records were added.
    on_records: Callable[[str], None]
    #: Why we ended it, once we have.
    stop: Stop | None = None
    last_output_at: datetime = field(init=False)
    _is_final: asyncio.Event = field(default_factory=asyncio.Event)
    _number: int = 0
    _streams: tuple[Stream, ...] = ()

    def __post_init__(self) -> None:
        self.last_output_at = self.execution.started_at or self.execution.queued_at
        self._streams = (
            Stream("stdout", Tail(self.spool.stdout), self.reader.stdout),
            Stream("stderr", Tail(self.spool.stderr), self.reader.stderr),
        )

    def interrupt(self, reason: Stop) -> None:
        """End the tree. The first reason counts."""
        if self.stop is None:
            self.stop = reason
            self.stop_tree()

    async def skip_recorded(self) -> None:
        """Begin where an earlier broker ended."""
        counts = await self.storage.read(lambda conn: store.record_counts(conn, self.execution.execution_id))
        for stream in self._streams:
            stream.recorded = counts.get(stream.name, 0)
        self._number = sum(counts.values())

    async def until(self, ended: asyncio.Future[object] | asyncio.Task[object]) -> None:
        """Return when the tree is gone and every line it wrote is recorded."""
        deadlines = asyncio.create_task(
            self._keep_deadlines(), name=f"deadlines {self.execution.execution_id}"
        )
        try:
            while not ended.done():
                if deadlines.done():
                    deadlines.result()  # raises what went wrong with it: without deadlines nothing goes on
                if not await self._look():
                    await asyncio.wait({ended}, timeout=LOOK_AGAIN)
        finally:
            deadlines.cancel()
        while await self._look():
            pass
        await self._record([(stream, line) for stream in self._streams for line in stream.tail.finish()])

    async def _look(self) -> bool:
        """Record what was written since the last look; True when there was something."""
        found: list[tuple[Stream, Line]] = []
        grown = 0
        for stream in self._streams:
            lines, size = stream.tail.read()
            found += [(stream, line) for line in lines]
            grown += size
        if grown:
            self.last_output_at = self.clock.now()
        await self._record(found)
        return grown > 0

    async def _record(self, found: list[tuple[Stream, Line]]) -> None:
        now = self.clock.now()
        added = []
        for stream, line in found:
            stream.take(line.body)
            if stream.recorded > 0:
                stream.recorded -= 1
                continue
            self._number += 1
            added.append(_record(self._number, stream.name, line, now))
        if self.reader.is_final:
            self._is_final.set()
        if added:
            await self._write(added)
            self.on_records(self.execution.execution_id)

    async def _write(self, added: list[Record]) -> None:
        """Write them, again and again while the database is away: the spool keeps what is said meanwhile."""
        execution_id = self.execution.execution_id
        while True:
            try:
                await self.storage.write(lambda conn: store.add_records(conn, execution_id, added))
                return
            except StorageError as error:
                log.warning(
                    "records cannot be written; trying again", execution=execution_id, reason=error.message
                )
            await asyncio.sleep(AFTER_FAILURE)

    async def _keep_deadlines(self) -> None:
        """Interrupt at the wall deadline, after too long a silence, and when the last word was long ago."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_wall())
            group.create_task(self._keep_idle())
            group.create_task(self._keep_final())

    async def _keep_wall(self) -> None:
        started_at = self.execution.started_at or self.execution.queued_at
        await self.clock.sleep_until(started_at + self.execution.timeout)
        self.interrupt(Stop.LINGER if self.reader.is_final else Stop.TIMEOUT)

    async def _keep_idle(self) -> None:
        while True:
            deadline = self.last_output_at + self.limits.idle
            await self.clock.sleep_until(deadline)
            if self.reader.is_final:
                return
            if self.reader.tools.running is not None:
                self.last_output_at = self.clock.now()  # a tool may be silent: its time starts anew
            elif self.last_output_at + self.limits.idle <= self.clock.now():
                self.interrupt(Stop.IDLE)
                return

    async def _keep_final(self) -> None:
        await self._is_final.wait()
        await self.clock.sleep_until(self.clock.now() + self.limits.grace)
        self.interrupt(Stop.LINGER)


def _record(number: int, stream: str, line: Line, now: datetime) -> Record:
    # A few bytes make a character at the most: no need to decode 50 MB to keep 64 kB.
    text = storable(line.body[: KEPT * 4].decode("utf-8", "replace"))[:KEPT]
    return Record(number=number, stream=stream, body=text, size=line.size, written_at=now)
