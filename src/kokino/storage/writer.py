"""The one thread that writes: whatever waited while it committed last shares the next commit."""

from __future__ import annotations

import asyncio
import queue
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from kokino.clock import Stopwatch
from kokino.errors import StorageError
from kokino.storage.writes import Writes

T = TypeVar("T")

#: Runs of a batch that keeps colliding, before each of its writes is run alone.
TRIES_TOGETHER = 4
#: Runs of one write that keeps colliding, before its caller is told so.
TRIES_ALONE = 8
#: First pause after a collision, in seconds; doubles, with full jitter.
FIRST_PAUSE = 0.005


class Blame(StrEnum):
    """Whom an error within a transaction concerns."""

    #: A faulty statement or value, or an exception that is none of the database's: its own caller alone.
    CALLER = "caller"
    #: Perhaps a row that was committed after the transaction began: that one function runs once more.
    SNAPSHOT = "snapshot"
    #: The transaction lost against one of another program: all of it runs again.
    COLLISION = "collision"
    #: The next write would fail alike: everybody in the batch.
    DATABASE = "database"


@dataclass(slots=True, eq=False)
class _Write:
    """One `fn` on its way through the writer."""

    fn: Callable[[Connection], Any]
    future: Future[Any] = field(default_factory=Future)
    value: Any = None
    error: Exception | None = None
    is_second_run: bool = False

    def answer(self) -> None:
        """Tell the caller what became of it."""
        if self.error is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.error)


class Writer:
    """Runs functions in batches, one transaction for each batch and one savepoint for each function."""

    def __init__(
        self,
        engine: Engine,
        *,
        blame: Callable[[BaseException], Blame],
        explained: Callable[[BaseException], StorageError],
        largest_batch: int,
    ) -> None:
        """`engine` keeps one connection; giving it back must undo what a failed commit has left open.

        `largest_batch` bounds how much a failed commit can take with it.
        """
        self._engine = engine
        self._blame = blame
        self._explained = explained
        self._largest_batch = largest_batch
        #: How it has fared so far.
        self.writes = Writes()
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="kokino-write", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many writes wait for the next commit."""
        return self._queue.qsize()

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in the next commit; see `Storage.write`."""
        write = _Write(fn)
        self._queue.put(write)
        value: T = await asyncio.wrap_future(write.future)
        return value

    def close(self) -> None:
        """Commit what waits, then end the thread and its connection. Nothing may be written afterwards."""
        self._queue.put(None)
        self._thread.join()
        self._engine.dispose()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, is_last = self._gather(first)
            self._settle(batch)
            if is_last:
                return

    def _gather(self, first: _Write) -> tuple[list[_Write], bool]:
        batch = [first]
        while len(batch) < self._largest_batch:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return _wanted(batch), True
            batch.append(following)
        return _wanted(batch), False

    def _settle(self, batch: list[_Write]) -> None:
        """See every write to its end: together, or each alone where together they keep colliding."""
        if self._persist(batch, TRIES_TOGETHER) is None:
            return
        for write in batch:
            if (collision := self._persist([write], TRIES_ALONE)) is not None:
                write.future.set_exception(self._failure(collision))

    def _persist(self, batch: list[_Write], tries: int) -> BaseException | None:
        """Commit the batch and answer its callers; returns the last collision where all tries were lost."""
        pause = FIRST_PAUSE
        collision = self._commit(batch)
        for _ in range(tries - 1):
            if collision is None:
                break
            time.sleep(random.uniform(0, pause))  # noqa: S311 - jitter, not a secret
            pause *= 2
            collision = self._commit(batch)
        return collision

    def _commit(self, batch: list[_Write]) -> BaseException | None:
        """One try; returns the collision that undid it, if one did."""
        watch = Stopwatch()
        try:
            with self._engine.connect() as conn, conn.begin():
                for write in batch:
                    self._apply(conn, write)
        except BaseException as error:  # noqa: BLE001 - whatever it was, every waiting caller must hear of it
            self.writes.failures.inc()
            if self._blame(error) is Blame.COLLISION:
                return error
            failure = self._failure(error)
            for write in batch:
                write.future.set_exception(failure)
        else:
            self.writes.commits.observe(watch.seconds)
            self.writes.writes.inc(len(batch))
            self._answer(batch)
        return None

    def _apply(self, conn: Connection, write: _Write) -> None:
        write.error = None
        conn.exec_driver_sql("SAVEPOINT kokino_write")
        try:
            write.value = write.fn(conn)
            # Fails where `fn` has swallowed an error that the database has not forgotten.
            conn.exec_driver_sql("RELEASE SAVEPOINT kokino_write")
        except Exception as error:
            if self._blame(error) in {Blame.COLLISION, Blame.DATABASE}:
                raise
            # Fails in its turn, and the batch with it, where the database has undone the whole transaction.
            conn.exec_driver_sql("ROLLBACK TO SAVEPOINT kokino_write")
            conn.exec_driver_sql("RELEASE SAVEPOINT kokino_write")
            write.error = error  # handed to its caller; the others' work stands

    def _answer(self, batch: list[_Write]) -> None:
        doubtful = []
        for write in batch:
            if self._is_doubtful(write):
                doubtful.append(write)
            else:
                write.answer()
        for write in doubtful:
            write.is_second_run = True
            self._settle([write])

    def _failure(self, error: BaseException) -> StorageError:
        failure = self._explained(error)
        if failure is not error:
            failure.__cause__ = error  # the log shows where it came from
        return failure

    def _is_doubtful(self, write: _Write) -> bool:
        if write.error is None or write.is_second_run:
            return False
        return self._blame(write.error) is Blame.SNAPSHOT


def _wanted(batch: list[_Write]) -> list[_Write]:
    """Leave out what its caller has given up on; from here on the rest can no longer be cancelled."""
    return [write for write in batch if write.future.set_running_or_notify_cancel()]
