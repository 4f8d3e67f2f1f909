"""Write down what one process of an execution says, line by line, and keep a copy for people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

import structlog

from kokino.errors import StorageError
from kokino.executions.model import Record
from kokino.executions.output import store as record_store
from kokino.executions.output.agent_log import AgentLog
from kokino.executions.output.lines import Line
from kokino.storage import Storage
from kokino.storage.text import storable
from kokino.tasks import AFTER_FAILURE

log = structlog.get_logger(__name__)

#: A record keeps this much of its line, in characters; its `size` tells how long the line was.
KEPT = 64 * 1024
#: Records that are read back at a time. Each may hold `KEPT` characters, and forty executions may be adopted
#: at once: megabytes for each of them, not a hundred.
AT_ONCE = 64


@dataclass(slots=True)
class Recorder:
    """The records of one process, numbered behind those of earlier tries."""

    execution_id: str
    #: Which of the execution's processes it is, from 1.
    attempt: int
    storage: Storage
    #: Where people read what it writes.
    agent_log: AgentLog
    #: Characters that are recorded of it, by earlier brokers too.
    size: int = 0
    #: The latest record's.
    _number: int = 0

    async def number_on(self) -> None:
        """Number its records behind those of earlier tries."""
        self._number = await self.storage.read(lambda conn: record_store.last_number(conn, self.execution_id))

    async def recorded(self) -> AsyncIterator[Record]:
        """What an earlier broker has recorded of this process, in order; what comes is numbered behind it."""
        while batch := await self._next_batch():
            for record in batch:
                self._number = record.number
                if record.attempt == self.attempt:
                    self.size += len(record.body)
                    yield record

    def number(self, stream: str, line: Line, now: datetime) -> Record:
        """The next record: a line as it is kept."""
        self._number += 1
        # A few bytes make a character at the most: no need to decode 50 MB to keep 64 kB.
        text = storable(line.body[: KEPT * 4].decode("utf-8", "replace"))[:KEPT]
        return Record(
            number=self._number,
            stream=stream,
            body=text,
            size=line.size,
            written_at=now,
            attempt=self.attempt,
            begins_at=line.begins_at,
        )

    async def write(self, added: list[Record]) -> None:
        """Write them, again and again while the database is away: the spool keeps what is said meanwhile."""
        while not await self._is_written(added):
            await asyncio.sleep(AFTER_FAILURE)
        self.size += sum(len(record.body) for record in added)
        try:
            self.agent_log.write(self.execution_id, added)
        except OSError as error:  # the records are safe; a copy for people is not worth an execution
            log.warning("an agent's log cannot be written", path=str(self.agent_log.path), reason=str(error))

    async def _is_written(self, added: list[Record]) -> bool:
        try:
            await self.storage.write(lambda conn: record_store.add(conn, self.execution_id, added))
        except StorageError as error:
            log.warning(
                "records cannot be written; trying again", execution=self.execution_id, reason=error.message
            )
            return False
        return True

    async def _next_batch(self) -> list[Record]:
        after = self._number
        return await self.storage.read(
            lambda conn: record_store.after(conn, self.execution_id, after, limit=AT_ONCE)
        )
