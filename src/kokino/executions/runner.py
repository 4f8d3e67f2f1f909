"""Hold every execution that runs in this broker, and write each one's end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from sqlalchemy import Connection

from kokino.agents.failures import FailureKind
from kokino.agents.model import Agent, Limits
from kokino.errors import Conflict
from kokino.executions import lifecycle, lock_watch
from kokino.executions.bound import Bound
from kokino.executions.companion import Companion, beside
from kokino.executions.conductor import Conductor
from kokino.executions.lifecycle import Claim
from kokino.executions.model import Ending, Execution, State
from kokino.executions.output.spool import latest_attempt
from kokino.executions.overdue.stuck import Activity
from kokino.executions.stop import Stop
from kokino.executions.watch import Topic, Watch
from kokino.executions.workshop import Workshop
from kokino.storage.text import storable
from kokino.tasks import Tasks
from kokino.telemetry.model import SHADOW

log = structlog.get_logger(__name__)

#: Between two looks whether what is being ended has ended, in seconds.
LOOK_AGAIN = 0.05
#: How long a stop waits for ends to be written, in seconds: a ladder's grace, and a database's worst moment.
LONGEST_STOP = 15.0


@dataclass(slots=True, kw_only=True)
class Runner:
    """Whatever happens to an execution here, it comes to an end, and its agent becomes free."""

    workshop: Workshop
    watch: Watch
    #: Told of every end, after it was written.
    on_end: Callable[[Execution], None]
    #: Runs prompts once more; set before anything is started, where there is one.
    companion: Companion | None = None
    #: How many executions were left to the next broker and go on there; and those that end with this one.
    released: int = 0
    lost: tuple[Bound, ...] = ()
    _running: dict[str, Conductor] = field(default_factory=dict)
    _beside: int = 0
    _tasks: Tasks = field(default_factory=Tasks)

    @property
    def in_flight(self) -> int:
        """How many executions run here."""
        return self._tasks.in_flight

    @property
    def places_taken(self) -> int:
        """How many of them count against what may run at the same time: none that runs beside another."""
        return self._tasks.in_flight - self._beside

    @property
    def is_idle(self) -> bool:
        """Nothing runs here; what pauses between two tries waits for time to pass alone."""
        pausing = sum(conductor.is_pausing for conductor in self._running.values())
        return self._tasks.in_flight == pausing

    def start(self, claim: Claim) -> None:
        """Run it in the background."""
        conductor = self._conductor(claim.execution, claim.agent.limits)
        self._begin(conductor, self._run(conductor, claim.agent))

    def adopt(self, execution: Execution, agent: Agent | None) -> None:
        """Go on with an execution that an earlier broker started, or write the end that nobody saw.

        `agent` is None when it was removed meanwhile: the default limits hold then.
        """
        attempt = latest_attempt(self.workshop.spool / execution.execution_id)
        conductor = self._conductor(execution, agent.limits if agent else Limits(), attempt)
        self._begin(conductor, conductor.adopt(agent))

    @property
    def bound(self) -> tuple[Bound, ...]:
        """The executions that would end with this broker."""
        return _bound(self._running.values())

    def activities(self) -> dict[str, Activity]:
        """What each execution that runs here does now, by its id."""
        return {execution_id: conductor.activity for execution_id, conductor in self._running.items()}

    def is_pausing(self, execution_id: str) -> bool:
        """True while nothing of it runs, between two tries."""
        conductor = self._running.get(execution_id)
        return conductor is not None and conductor.is_pausing

    def interrupt(self, execution_id: str, reason: Stop) -> bool:
        """End a running execution's tree and what runs beside it; False when it does not run here."""
        for one in (execution_id, beside(execution_id)):
            if (conductor := self._running.get(one)) is not None:
                conductor.interrupt(reason)
        return execution_id in self._running

    async def answer(self, execution_id: str, option_id: str, request_id: str | None) -> None:
        """Answer the permission that an execution waits for. Raises `Conflict` and `Invalid`."""
        conductor = self._running.get(execution_id)
        if conductor is None:
            raise Conflict(f"execution {execution_id!r} waits for no permission: it does not run here")
        await conductor.answer(option_id, request_id)

    async def settled(self) -> None:
        """Return when nothing runs here."""
        await self._tasks.settled()
        await self.workshop.versions.settled()

    async def stop(self) -> None:
        """End every tree, write every end; what cannot be written in time is found by the next broker."""
        for conductor in list(self._running.values()):
            conductor.interrupt(Stop.SHUTDOWN)
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_STOP):
                await self._tasks.settled()
        await self._tasks.stop()
        await self.workshop.versions.stop()
        await self.workshop.terminals.close()

    async def release(self) -> None:
        """Let go of every execution and leave it running for the next broker.

        What is being ended is seen to its end: only this broker knows why it was ended.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_STOP):
                while any(conductor.is_interrupted for conductor in self._running.values()):
                    await asyncio.sleep(LOOK_AGAIN)
        # Cancelled while it asks the warden for a start, a start would be taken back.
        await self.workshop.warden.answered()
        released = list(self._running.values())
        await self._tasks.stop()
        for conductor in released:
            await conductor.release()
        await self.workshop.versions.stop()
        await self.workshop.terminals.close()
        self.lost = _bound(released)
        self.released = len(released) - len(self.lost)

    async def _run(self, conductor: Conductor, agent: Agent) -> Ending:
        execution = conductor.execution
        if self.companion is not None and execution.label != SHADOW:
            await self.companion.begin(execution, agent, lambda: not conductor.is_interrupted)
            if conductor.is_interrupted:  # while it began, there was nothing beside it to be ended
                self.interrupt(execution.execution_id, Stop.CANCEL)
        return await conductor.run(agent)

    def _conductor(self, execution: Execution, limits: Limits, attempt: int = 1) -> Conductor:
        return Conductor(
            workshop=self.workshop,
            execution=execution,
            limits=limits,
            on_records=lambda recorded: self.watch.ring(Topic.RECORDS, recorded),
            attempt=attempt,
        )

    def _begin(self, conductor: Conductor, work: Coroutine[Any, Any, Ending]) -> None:
        execution_id = conductor.execution.execution_id
        self._running[execution_id] = conductor
        is_beside = conductor.execution.label == SHADOW
        self._beside += is_beside
        task = self._tasks.start(self._to_its_end(conductor, work), name=f"execution {execution_id}")
        task.add_done_callback(lambda _: self._leave(is_beside=is_beside))

    def _leave(self, *, is_beside: bool) -> None:
        self._beside -= is_beside

    async def _to_its_end(self, conductor: Conductor, work: Coroutine[Any, Any, Ending]) -> None:
        execution_id = conductor.execution.execution_id
        lock = asyncio.create_task(lock_watch.keep(conductor), name=f"lock of {execution_id}")
        try:
            ending = _storable(await self._ending(conductor, work))
            if self.companion is not None and conductor.execution.label != SHADOW:
                await self.companion.tree_is_gone(conductor.execution)
            ended = await self._write(conductor, ending)
        finally:
            lock.cancel()
        await conductor.clear()
        _tell(ended)
        self.watch.ring(Topic.END, ended.execution_id)
        self.on_end(ended)

    async def _ending(self, conductor: Conductor, work: Coroutine[Any, Any, Ending]) -> Ending:
        try:
            return await work
        except Exception as error:
            # A full disk, a database that is away, a fault of ours: it must not go on unseen.
            log.exception("an execution cannot be followed", execution=conductor.execution.execution_id)
            await conductor.abort()
            said = f"the broker could not go on with it: {error}"
            return Ending(state=State.LOST, kind=FailureKind.LOST, error=said)
        finally:
            self._running.pop(conductor.execution.execution_id, None)

    async def _write(self, conductor: Conductor, ending: Ending) -> Execution:
        def write(conn: Connection) -> Execution:
            return lifecycle.end(
                conn,
                conductor.execution,
                ending,
                self.workshop.ids,
                now=self.workshop.clock.now(),
                session_id=conductor.reader.session_id,
                session_is_alive=conductor.keeps_session(ending),
            )

        return await self.workshop.write(write)


def _bound(conductors: Iterable[Conductor]) -> tuple[Bound, ...]:
    return tuple(bound for conductor in conductors if (bound := conductor.bound) is not None)


def _tell(ended: Execution) -> None:
    """One line in the log; an ERROR where somebody's work was lost, so that ``grep ERROR`` finds it."""
    facts = {
        "execution": ended.execution_id,
        "agent": ended.agent_id,
        "cli_type": ended.cli_type,
        "state": ended.state.value,
    }
    if ended.label is not None:
        facts["label"] = ended.label
    # A probe that fails is an answer, not somebody's lost work.
    if ended.label is not None or ended.state in {State.COMPLETED, State.CANCELLED}:
        log.info("execution ended", **facts)
    else:
        log.error("execution failed", **facts, kind=ended.kind and ended.kind.value, reason=ended.error)


def _storable(ending: Ending) -> Ending:
    """`ending` with texts that any database takes."""
    return replace(
        ending,
        error=None if ending.error is None else storable(ending.error),
        content=None if ending.content is None else storable(ending.content),
        cli_version=None if ending.cli_version is None else storable(ending.cli_version),
        began_anew=None if ending.began_anew is None else storable(ending.began_anew),
    )
