"""Dispatch inside one broker: whenever something may have changed, start what can start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from kokino.agents import store as agent_store
from kokino.agents.model import Limits
from kokino.clock import Clock, wait_for_either
from kokino.errors import StorageError
from kokino.executions import store
from kokino.executions.lifecycle import Claimed, claim
from kokino.executions.model import Execution, State
from kokino.executions.runner import Runner
from kokino.executions.watch import Topic
from kokino.storage import Storage
from kokino.tasks import Tasks

log = structlog.get_logger(__name__)

#: Pause after a look that failed, in seconds: a database that is away comes back, or somebody is told of it.
AFTER_FAILURE = 1.0


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
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: Tasks = field(default_factory=Tasks)
    _is_waiting: bool = False

    @property
    def is_idle(self) -> bool:
        """Nothing runs, and the queues were looked at since the last wake."""
        return self._is_waiting and not self._wanted.is_set() and self.runner.in_flight == 0

    async def start(self) -> None:
        """Take over what an earlier broker left, then begin to look."""
        await self._recover()
        self._tasks.start(self._keep_looking(), name="dispatch")
        self.wake()

    def wake(self) -> None:
        """Something changed: an execution came or ended, a pause was lifted, a CLI type enabled."""
        self._wanted.set()

    async def drain(self) -> None:
        """Start nothing more."""
        await self._tasks.stop()

    async def _recover(self) -> None:
        """Executions that were running when the last broker went: their trees are held for us, or ended."""
        left = await self.storage.read(lambda conn: store.in_state(conn, State.RUNNING))
        agents = {agent.agent_id: agent for agent in await self.storage.read(agent_store.everyone)}
        for execution in left:
            log.info("taking over an execution of an earlier broker", execution=execution.execution_id)
            agent = agents.get(execution.agent_id)
            self.runner.adopt(execution, agent.limits if agent else Limits())

    async def _keep_looking(self) -> None:
        while True:
            try:
                await self._look()
            except StorageError as error:
                log.warning("the queues cannot be read; trying again", reason=error.message)
                await asyncio.sleep(AFTER_FAILURE)
                self.wake()

    async def _look(self) -> None:
        await self._until_wanted()
        self._wanted.clear()
        claimed = await self._claim()
        for claim_ in claimed.started:
            self.runner.start(claim_)
        for execution in claimed.ended:
            self.runner.watch.ring(Topic.END, execution.execution_id)
            self.on_end(execution)
        if claimed.ended:
            self.wake()  # behind them stand the next ones; who stands behind one that runs waits for its end

    async def _claim(self) -> Claimed:
        capacity = self.capacity - self.runner.in_flight
        return await self.storage.write(
            lambda conn: claim(
                conn, self.runner.cli_types, self.runner.ids, capacity=capacity, now=self.clock.now()
            )
        )

    async def _until_wanted(self) -> None:
        """Return at the next wake, or when an execution has waited as long as it may."""
        deadline = await self.storage.read(store.next_queue_deadline)
        self._is_waiting = True
        try:
            await wait_for_either(self._wanted, self.clock, deadline)
        finally:
            self._is_waiting = False
