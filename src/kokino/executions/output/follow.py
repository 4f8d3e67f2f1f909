"""Follow one process of an execution until its tree is gone: record its output, say when it is overdue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import structlog

from kokino.agents.drivers.contract import Reader, Settling
from kokino.agents.model import Limits
from kokino.clock import Clock
from kokino.executions.model import MIB, Execution, Record, Waiting
from kokino.executions.output.lines import Line
from kokino.executions.output.recorder import Recorder
from kokino.executions.output.space import is_whole
from kokino.executions.output.spool import Spool, read_line
from kokino.executions.output.streams import Source, Stream
from kokino.executions.overdue.stuck import Activity
from kokino.executions.stop import Stop

log = structlog.get_logger(__name__)

#: How long to wait before looking at a silent stream again, in seconds. The end itself is told by the keeper,
#: so this delays only what people watch: half of what an eye notices.
LOOK_AGAIN = 0.05


class Partner(Protocol):
    """Who speaks with the CLI."""

    #: What the CLI waits for; None while it waits for nobody.
    waiting: Waiting | None

    def speak(self) -> None:
        """The reader has heard something: there may be an answer to give."""
        ...


@dataclass(slots=True)
class Follow:
    """One running process, seen from the broker."""

    execution: Execution
    limits: Limits
    reader: Reader
    spool: Spool
    recorder: Recorder
    clock: Clock
    #: Asks the keeper to end the tree.
    stop_tree: Callable[[], object]
    #: Called after records were added.
    on_records: Callable[[str], None]
    #: What is said to it; None for a CLI that only writes.
    exchange: Partner | None = None
    #: Why we ended it, once we have.
    stop: Stop | None = None
    last_output_at: datetime = field(init=False)
    is_final: asyncio.Event = field(default_factory=asyncio.Event)
    #: Set when a record came: whether it is stuck may have changed.
    has_moved: asyncio.Event = field(default_factory=asyncio.Event)
    _tool: tuple[int, str | None] = (0, None)
    _tool_since: datetime | None = None
    _is_dropping: bool = False
    _streams: tuple[Stream, ...] = ()

    def __post_init__(self) -> None:
        began_at = self.execution.started_at or self.execution.queued_at
        # A later try begins now: what passed before it is no silence of its own.
        self.last_output_at = began_at if self.spool.attempt == 1 else self.clock.now()
        self.read_from(
            Source(name="stdout", path=self.spool.stdout, take=self.reader.stdout),
            Source(name="stderr", path=self.spool.stderr, take=self.reader.stderr),
        )

    def read_from(self, *sources: Source) -> None:
        """Read these files instead of its two outputs; said before anything was read."""
        self._streams = tuple(source.stream() for source in sources)

    @property
    def activity(self) -> Activity:
        """What it does now, as far as its records tell."""
        return Activity(
            last_output_at=self.last_output_at,
            tool=self.reader.tools.running,
            tool_since=self._tool_since,
            repeats=self.reader.tools.repeats,
            is_waiting=self.exchange is not None and self.exchange.waiting is not None,
        )

    def interrupt(self, reason: Stop) -> None:
        """End the tree. The first reason counts."""
        if self.stop is None:
            self.stop = reason
            self.stop_tree()

    def woke(self) -> None:
        """Somebody gave it what it waited for: its silence begins anew."""
        self.last_output_at = self.clock.now()
        self.has_moved.set()

    def settle(self) -> None:
        """It is known to be done, by its screen: whatever its records say is all that it says."""
        if isinstance(self.reader, Settling):
            self.reader.settle()
        if self.reader.is_final:
            self.is_final.set()

    def drop_rest(self) -> None:
        """Record nothing more: what is left of a flood says nothing new and would take minutes to write."""
        self._is_dropping = True

    async def catch_up(self) -> None:
        """Read again what has been recorded of this process, and begin behind it."""
        async for record in self.recorder.recorded():
            self._read_again(record)

    async def until(
        self, ended: asyncio.Future[Any] | asyncio.Task[Any], *, deadlines: Coroutine[Any, Any, None]
    ) -> None:
        """Return when the tree is gone and every line it wrote is recorded; keep its deadlines meanwhile."""
        try:
            await self._until_ended(ended, deadlines)
            while await self._look():
                pass
            await self._record([(stream, line) for stream in self._streams for line in stream.tail.finish()])
        finally:
            for stream in self._streams:  # of one that cannot be followed any more, too
                stream.close()

    async def _until_ended(
        self, ended: asyncio.Future[Any] | asyncio.Task[Any], deadlines: Coroutine[Any, Any, None]
    ) -> None:
        keeping = asyncio.create_task(deadlines, name=f"deadlines {self.execution.execution_id}")
        try:
            while not ended.done():
                if keeping.done():
                    keeping.result()  # raises what went wrong with it: without deadlines nothing goes on
                if not await self._look():
                    await asyncio.wait({ended}, timeout=LOOK_AGAIN)
        finally:
            keeping.cancel()

    def _read_again(self, record: Record) -> None:
        stream = next(stream for stream in self._streams if stream.name == record.stream)
        body = record.body.encode()
        if not is_whole(record) and record.begins_at is not None:
            body = read_line(stream.tail.path, record.begins_at, record.size)
        if record.written_at != self.last_output_at:
            self.reader.look()
        self._take(stream, body)
        self._note_tool(record.written_at)
        self.last_output_at = record.written_at
        stream.tail.resume(record.begins_at, record.size, body)

    async def _look(self) -> bool:
        """Record what was written since the last look; True when there was something."""
        if self._is_dropping:
            return False
        found: list[tuple[Stream, Line]] = []
        grown = 0
        for stream in self._streams:
            lines, size = stream.tail.read()
            if stream.tail.is_cut and not self.reader.is_final:
                self.interrupt(Stop.CUT)
            if stream.tail.was_emptied:
                self._note_emptied(stream)
            found += [(stream, line) for line in lines]
            grown += size
        if grown:
            self.last_output_at = self.clock.now()
        await self._record(found)
        if grown:
            # Everybody else has a turn before the next chunk of a flood, however fast the database is.
            await asyncio.sleep(0)
        return grown > 0

    def _note_emptied(self, stream: Stream) -> None:
        log.warning(
            "an agent emptied the file of its own output; what was not recorded yet is lost",
            execution=self.execution.execution_id,
            agent=self.execution.agent_id,
            stream=stream.name,
        )
        stream.space.begin_anew()

    async def _record(self, found: list[tuple[Stream, Line]]) -> None:
        if not found or self._is_dropping:
            return
        self.reader.look()
        now = self.clock.now()
        added = []
        for stream, line in found:
            self._take(stream, line.body)
            added.append(self.recorder.number(stream.name, line, now))
        self._note_tool(now)
        if self.exchange is not None:
            self.exchange.speak()
        if self.reader.is_final:
            self.is_final.set()
        await self.recorder.write(added)
        for (stream, _), record in zip(found, added, strict=True):
            stream.space.recorded(record)
        if self.recorder.size > self.limits.output_mb * MIB:
            self.interrupt(Stop.OUTPUT)
            self.drop_rest()
        self.has_moved.set()
        self.on_records(self.execution.execution_id)

    def _take(self, stream: Stream, body: bytes) -> None:
        stream.take(body)
        if self.reader.is_final:
            self.is_final.set()

    def _note_tool(self, now: datetime) -> None:
        """A call is known by its number: the same command may run twice in a row."""
        tools = self.reader.tools
        if (tools.count, tools.running) != self._tool:
            self._tool = (tools.count, tools.running)
            self._tool_since = now if tools.running is not None else None
