"""What people and playbooks ask of executions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from kokino.agents import roster, session_store
from kokino.agents import store as agent_store
from kokino.agents.failures import FailureKind
from kokino.agents.model import Agent, Source, shadow_of
from kokino.agents.service import required
from kokino.clock import Clock
from kokino.errors import Conflict, NotFound, QueueFull, TooLarge, Unavailable
from kokino.executions import store
from kokino.executions.changes.git import GitFailed, TooMuch
from kokino.executions.changes.repository import changes_of
from kokino.executions.companion import beside, lockers
from kokino.executions.lifecycle import end
from kokino.executions.local import LocalDispatch
from kokino.executions.model import Ending, Execution, Record, State
from kokino.executions.output import store as record_store
from kokino.executions.queue import admission, idempotency, idempotency_store, prompts
from kokino.executions.queue import store as queue_store
from kokino.executions.queue.attendance import Attendance
from kokino.executions.queue.idempotency import Accepted, IdempotencyKey
from kokino.executions.runner import Runner
from kokino.executions.stop import Stop
from kokino.executions.watch import Topic, Watch
from kokino.ids import Ids
from kokino.storage import Storage

#: Seconds of silence after which a stream says that it is alive; proxies cut at 30 to 60.
HEARTBEAT = 15.0
#: Records read for a stream at a time.
RECORDS_AT_ONCE = 200


class Restarting(Unavailable):
    """This broker makes room for the next one, which goes on with the execution or tells its end."""

    code = "restarting"

    def __init__(self, execution_id: str, *, goes_on: bool) -> None:
        becomes = "goes on" if goes_on else "ends with this broker, and is lost"
        super().__init__(
            f"the broker restarts; execution {execution_id} {becomes}:"
            f" ask for GET /executions/{execution_id}, or send the same request again under"
            " its Idempotency-Key",
            retry_after=timedelta(seconds=1),
        )


@dataclass(slots=True, kw_only=True)
class Executions:
    """Submit, await and cancel executions."""

    storage: Storage
    clock: Clock
    ids: Ids
    runner: Runner
    dispatch: LocalDispatch
    watch: Watch
    #: Told of executions that end without ever being started.
    on_end: Callable[[Execution], None]
    attendance: Attendance = field(default_factory=Attendance)
    _is_closed: bool = field(default=False)

    def close(self) -> None:
        """Accept nothing more."""
        self._is_closed = True

    async def submit(
        self,
        agent_id: str,
        prompt: str,
        *,
        timeout: timedelta | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Execution:
        """Accept a prompt. Once this returns, it is durable and will come to an end.

        One that has no way to run, or whose agent's circuit breaker is open, has ended already.

        Raises `Invalid` or `TooLarge` for the prompt, `NotFound` for the agent, `Conflict` for one of the
        broker's own, `QueueFull`, and `Unavailable` while the broker stops.
        """
        accepted = await self.submit_once(agent_id, prompt, None, timeout=timeout, metadata=metadata)
        return accepted.execution

    async def submit_once(
        self,
        agent_id: str,
        prompt: str,
        key: IdempotencyKey | None,
        *,
        timeout: timedelta | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Accepted:
        """As `submit`, but what was accepted under `key` before, and not refused, is not accepted again.

        Raises `KeyTaken` too, when the same key came with another body.
        """
        if self._is_closed:
            raise Unavailable(
                "the broker is stopping and accepts nothing new", retry_after=timedelta(seconds=5)
            )
        prompts.check(prompt)

        def accept(conn: Connection) -> Accepted:
            if key is not None and (known := idempotency.known(conn, agent_id, key)) is not None:
                return Accepted(execution=known, is_replay=True)
            agent = required(conn, agent_id)
            if agent.source is Source.BROKER:
                raise Conflict(f"agent {agent_id!r} is the broker's own: it takes no prompts")
            # One may run, and so many may wait behind it.
            if queue_store.unfinished_count(conn, agent_id) > agent.limits.queue:
                raise QueueFull(
                    f"{agent.limits.queue} executions wait for agent {agent_id!r} already;"
                    " come back later, or raise its limits.queue",
                    retry_after=timedelta(seconds=30),
                )
            wanted = self.new(agent, prompt, timeout=timeout, metadata=metadata)
            new = admission.admit(
                conn, wanted, agent, self.dispatch.cli_types, self.ids, now=self.clock.now()
            )
            # What was refused may be asked again under its key: nothing has run.
            if key is not None and not new.state.is_end:
                idempotency_store.remember(
                    conn,
                    agent_id,
                    key.key,
                    body_hash=key.body_hash,
                    execution_id=new.execution_id,
                    now=new.queued_at,
                )
            return Accepted(execution=new)

        accepted = await self.storage.write(accept)
        if accepted.execution.state.is_end and not accepted.is_replay:
            self.on_end(accepted.execution)
        self.dispatch.wake()
        return accepted

    async def retry_after(self, ended: Execution) -> timedelta | None:
        """When whoever waited for an execution may try again; None unless it was refused."""
        return await self.storage.read(
            lambda conn: admission.retry_after(conn, ended, self.dispatch.cli_types, now=self.clock.now())
        )

    async def get(self, execution_id: str) -> Execution:
        """The execution. Raises `NotFound`."""
        execution = await self.storage.read(lambda conn: store.get(conn, execution_id))
        if execution is None:
            raise _unknown(execution_id)
        return execution

    async def ended(self, execution_id: str) -> Execution:
        """Return when it has ended.

        Raises `NotFound`, and `Restarting` when the next broker will see its end.
        """
        with self.watch.listen(execution_id, Topic.END) as bell:
            while not await self._is_over(execution_id):
                if self.watch.is_closed:
                    is_bound = execution_id in {bound.execution_id for bound in self.runner.bound}
                    raise Restarting(execution_id, goes_on=not is_bound)
                await _rang(bell)
                bell.clear()
        return await self.get(execution_id)

    async def records(self, execution_id: str, *, after: int = 0) -> AsyncIterator[Record | Execution | None]:
        """Its records from number `after` + 1 on, as they come; at last the ended execution itself.

        None says that nothing came for `HEARTBEAT`: time to show a reader that the line is alive. Without
        that end they stop when the next broker has the rest.
        """
        with self.watch.listen(execution_id, Topic.RECORDS, Topic.END) as bell:
            while True:
                bell.clear()
                is_over = await self._is_over(execution_id)
                while batch := await self._records_after(execution_id, after):
                    for record in batch:
                        yield record
                    after = batch[-1].number
                if is_over:
                    yield await self.get(execution_id)
                    return
                if self.watch.is_closed:
                    return
                if not await _rang(bell):
                    yield None

    async def patch(self, execution_id: str, *, reverse: bool) -> bytes:
        """What it changed in its git repository, as a patch; `reverse` undoes it.

        Raises `NotFound` for an unknown execution, `Conflict` where there is nothing to tell, and `TooLarge`
        for a patch that is too long to be held in memory.
        """
        execution = await self.get(execution_id)
        changes = execution.changes or {}
        if "treeAfter" not in changes:
            why = changes.get("error") or (
                "it did not run in a git repository" if execution.state.is_end else "it has not ended"
            )
            raise Conflict(f"what {execution_id!r} changed is not known: {why}")
        if not changes["filesChanged"]:
            return b""
        repository = changes_of(self.runner.workshop, execution)
        try:
            return await repository.patch(changes, reverse=reverse)
        except TooMuch as error:
            command = repository.command(changes, reverse=reverse)
            raise TooLarge(f"the patch is too long to be sent ({error}); git tells it: {command}") from error
        except GitFailed as error:
            raise Conflict(f"what {execution_id!r} changed can no longer be told: {error}") from error

    async def cancel(self, execution_id: str) -> Execution:
        """End an execution and return it once its tree is gone; one that has ended is returned as it is.

        What runs beside it ends with it.
        """
        execution = await self.get(execution_id)
        if execution.state.is_end:
            return execution
        if (ended := await self._cancel_queued(execution)) is not None:
            return ended
        await self.storage.write(lambda conn: store.request_cancel(conn, execution_id, now=self.clock.now()))
        self.runner.interrupt(execution_id, Stop.CANCEL)
        ended = await self.ended(execution_id)
        await self._cancel_beside(execution_id)
        return ended

    async def cancel_running(self, agent_id: str) -> Execution | None:
        """Cancel what the agent runs; None when it runs nothing."""
        unfinished = await self._unfinished(agent_id)
        running = next((one for one in unfinished if one.state is State.RUNNING), None)
        return None if running is None else await self.cancel(running.execution_id)

    async def _cancel_beside(self, execution_id: str) -> None:
        other = beside(execution_id)
        state = await self.storage.read(lambda conn: store.state_of(conn, other))
        if state is State.RUNNING:
            await self.cancel(other)

    async def answer(self, execution_id: str, option_id: str, request_id: str | None = None) -> Execution:
        """Answer the permission that it waits for. Raises `NotFound`, `Conflict` and `Invalid`."""
        execution = await self.get(execution_id)
        if execution.state is not State.RUNNING:
            raise Conflict(
                f"execution {execution_id!r} is {execution.state.value}: it waits for no permission"
            )
        await self.runner.answer(execution_id, option_id, request_id)
        return await self.get(execution_id)

    async def end_session(self, agent_id: str) -> tuple[Execution | None, int]:
        """Cancel what runs and forget the agent's sessions; what was cancelled, and how many sessions."""

        def forget(conn: Connection) -> int:
            required(conn, agent_id)
            session_store.forget(conn, shadow_of(agent_id))
            return session_store.forget(conn, agent_id)

        # In this order: the end of what runs lets the next one start, and that one must find no session.
        forgotten = await self.storage.write(forget)
        cancelled = await self.cancel_running(agent_id)
        return cancelled, forgotten

    async def forget_agent(self, agent_id: str) -> None:
        """Cancel all that the agent runs or has waiting, then remove it. Raises `NotFound`."""
        for execution in reversed(await self._unfinished(agent_id)):
            await self.cancel(execution.execution_id)

        def forget(conn: Connection) -> None:
            session_store.forget(conn, agent_id)
            session_store.forget(conn, shadow_of(agent_id))
            agent_store.forget(conn, shadow_of(agent_id))
            idempotency_store.forget_agent(conn, agent_id)
            if (agent := agent_store.get(conn, agent_id)) is not None:
                roster.remove(conn, agent, reason="it was removed", now=self.clock.now())

        await self.storage.write(forget)
        await self.runner.workshop.terminals.forget(agent_id)
        self.runner.workshop.on_event()

    async def _is_over(self, execution_id: str) -> bool:
        state = await self.storage.read(lambda conn: store.state_of(conn, execution_id))
        if state is None:
            raise _unknown(execution_id)
        return state.is_end

    async def _records_after(self, execution_id: str, after: int) -> list[Record]:
        return await self.storage.read(
            lambda conn: record_store.after(conn, execution_id, after, limit=RECORDS_AT_ONCE)
        )

    async def _unfinished(self, agent_id: str) -> list[Execution]:
        def find(conn: Connection) -> list[Execution]:
            required(conn, agent_id)
            return [one for who in lockers(agent_id) for one in store.unfinished_of(conn, who)]

        return await self.storage.read(find)

    async def _cancel_queued(self, execution: Execution) -> Execution | None:
        """Take it out of the queue; None when it has left it meanwhile."""

        def cancel(conn: Connection) -> Execution | None:
            present = store.get(conn, execution.execution_id)
            if present is None or present.state is not State.QUEUED:
                return None
            ending = Ending(
                state=State.CANCELLED, kind=FailureKind.CANCELLED, error="cancelled before it started"
            )
            return end(conn, present, ending, self.ids, now=self.clock.now())

        ended = await self.storage.write(cancel)
        if ended is not None:
            self.watch.ring(Topic.END, ended.execution_id)
            self.on_end(ended)
            self.dispatch.wake()
        return ended

    def new(
        self,
        agent: Agent,
        prompt: str,
        *,
        timeout: timedelta | None = None,
        metadata: Mapping[str, Any] | None = None,
        label: str | None = None,
    ) -> Execution:
        """An execution for `agent` that nobody has accepted yet."""
        return Execution(
            execution_id=self.ids.new("exec"),
            number=0,
            agent_id=agent.agent_id,
            cli_type=agent.cli_type,
            account=agent.account,
            mode=agent.mode.value,
            pool=agent.pool,
            state=State.QUEUED,
            label=label,
            prompt=prompt,
            metadata=metadata or {},
            timeout=timeout or agent.limits.timeout,
            queue_timeout=agent.limits.queue_timeout,
            queued_at=self.clock.now(),
        )


def _unknown(execution_id: str) -> NotFound:
    return NotFound(
        f"there is no execution {execution_id!r}; GET /executions lists those that are kept"
        " (storage.keep_executions)"
    )


async def _rang(bell: asyncio.Event) -> bool:
    try:
        await asyncio.wait_for(bell.wait(), HEARTBEAT)
    except TimeoutError:
        return False
    return True
