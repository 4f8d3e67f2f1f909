"""Dispatch inside one broker: whenever something may have changed, start what can start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from kokino.agents.model import CliType
from kokino.clock import Clock, wait_for_either
from kokino.executions.model import Execution
from kokino.executions.queue import store as queue_store
from kokino.executions.queue.claiming import Claimed, claim
from kokino.executions.recovery import recover
from kokino.executions.runner import Runner
from kokino.executions.watch import Topic
from kokino.storage import Storage
from kokino.tasks import AFTER_FAILURE, Tasks

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class LocalDispatch:
    """Feeds one runner from the queues in the database."""

    storage: Storage
    clock: Clock
    runner: Runner
    #: Executions that may run at the same time.
    capacity: int
    #: Told of executions that were refused without being started.
    on_end: Callable[[Execution], None]
    #: When the last look found that something will start by itself.
    _due_at: datetime | None = None
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: Tasks = field(default_factory=Tasks)
    #: What went wrong at the last look; None when it went well.
    error: str | None = None
    _is_waiting: bool = False
    _is_stopping: bool = False

    @property
    def cli_types(self) -> Mapping[str, CliType]:
        """What executions can run on."""
        return self.runner.workshop.cli_types

    @property
    def is_idle(self) -> bool:
        """Nothing runs, and the queues were looked at since the last wake."""
        return self._is_waiting and not self._wanted.is_set() and self.runner.is_idle

    async def start(self) -> None:
        """Take over what an earlier broker left, then begin to look."""
        await recover(self.runner)
        self._tasks.start(self._keep_looking(), name="dispatch")
        self.wake()

    def wake(self) -> None:
        """Something changed: an execution came or ended, a pause was lifted, a CLI type enabled."""
        self._wanted.set()

    async def drain(self) -> None:
        """Start nothing more. What is being claimed at this moment is started still: it is ours by now."""
        self._is_stopping = True
        self.wake()
        await self._tasks.settled()

    async def _keep_looking(self) -> None:
        while not self._is_stopping:
            try:
                await self._look()
            except Exception as error:  # whatever it was, the next look may go well
                self.error = f"{type(error).__name__}: {error}"
                log.exception("the queues cannot be looked at; trying again")
                await asyncio.sleep(AFTER_FAILURE)
                self.wake()
            else:
                self.error = None

    async def _look(self) -> None:
        await self._until_wanted()
        if self._is_stopping:
            return
        self._wanted.clear()
        claimed = await self._claim()
        self._due_at = claimed.due_at
        for claim_ in claimed.started:
            self.runner.start(claim_)
        for execution in claimed.ended:
            self.runner.watch.ring(Topic.END, execution.execution_id)
            self.on_end(execution)
        if claimed.ended:
            self.wake()  # behind them stand the next ones; who stands behind one that runs waits for its end

    async def _claim(self) -> Claimed:
        capacity = self.capacity - self.runner.places_taken
        ids = self.runner.workshop.ids
        return await self.storage.write(
            lambda conn: claim(conn, self.cli_types, ids, capacity=capacity, now=self.clock.now())
        )

    async def _until_wanted(self) -> None:
        """Return at the next wake, or when time alone lets an execution start or has let it wait too long."""
        deadline = await self.storage.read(queue_store.next_deadline)
        due = min((instant for instant in (deadline, self._due_at) if instant is not None), default=None)
        self._is_waiting = True
        try:
            await wait_for_either(self._wanted, self.clock, due)
        finally:
            self._is_waiting = False
