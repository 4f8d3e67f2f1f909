"""Conduct one execution to its end: try after try, and what it changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import InitVar, dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

import structlog

from kokino.agents.drivers.contract import Dialogue, Reader
from kokino.agents.drivers.terminal.screen import ScreenReader
from kokino.agents.model import Agent, Limits, Mode
from kokino.clock import wait_for_either
from kokino.executions import store
from kokino.executions.attempts import again, retrying
from kokino.executions.attempts.again import Again
from kokino.executions.attempts.attempt import Attempt
from kokino.executions.bound import Bound, Tie
from kokino.executions.changes.repository import Repository, changes_of
from kokino.executions.model import Ending, Execution, State
from kokino.executions.output.spool import Spool
from kokino.executions.overdue.holding import Holding
from kokino.executions.overdue.stuck import Activity
from kokino.executions.stop import Stop
from kokino.executions.workshop import Workshop

log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Conductor:
    """One execution with all its tries. `run` or `adopt` it, once: both return its end when all is gone."""

    workshop: Workshop
    execution: Execution
    limits: Limits
    #: Called after records were added.
    on_records: Callable[[str], None]
    #: The try to begin with: of an adopted execution the latest.
    attempt: InitVar[int] = 1
    #: It lets a pause pass before another try: nothing of it runs.
    is_pausing: bool = False
    #: Set when what it does is known: at once, or when what an earlier broker recorded of it was read.
    is_known: asyncio.Event = field(default_factory=asyncio.Event)
    _attempt: Attempt = field(init=False)
    _interrupted: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self, attempt: int) -> None:
        self._attempt = self._new_attempt(attempt)

    @property
    def reader(self) -> Reader:
        """What reads its output now."""
        return self._attempt.reader

    @property
    def activity(self) -> Activity:
        """What it does now."""
        return self._attempt.follow.activity

    @property
    def holding(self) -> Holding:
        """How it holds its agent's lock now."""
        return Holding(
            activity=self.activity,
            locked_at=self.execution.started_at or self.execution.queued_at,
            timeout=self.execution.timeout,
            limits=self.limits,
            is_pausing=self.is_pausing,
        )

    @property
    def bound(self) -> Bound | None:
        """What ends it with this broker; None for one that the next broker goes on with."""
        if self.reader.is_final or self.is_pausing:  # nothing is left to be said or typed in this try
            return None
        if not self._attempt.has_begun:  # nobody has seen its prompt: the next broker begins with it
            return None
        if self.execution.mode == Mode.TMUX:
            return self._bound(Tie.TMUX)
        return self._bound(Tie.DIALOGUE) if isinstance(self.reader, Dialogue) else None

    @property
    def session_is_alive(self) -> bool:
        """False when the CLI has said that it does not know the session."""
        return self._attempt.session_is_alive

    def keeps_session(self, ending: Ending) -> bool:
        """True where the next turn can go on with this one's session."""
        can_be_known = not isinstance(self.reader, ScreenReader)
        return self.session_is_alive or (can_be_known and ending.state is State.COMPLETED)

    @property
    def is_interrupted(self) -> bool:
        """Its tree is being ended, and only we know why."""
        return self._attempt.follow.stop is not None

    def interrupt(self, reason: Stop) -> None:
        """End the tree, now or as soon as it has started. The first reason counts."""
        self._attempt.follow.interrupt(reason)
        self._interrupted.set()

    async def answer(self, option_id: str, request_id: str | None) -> None:
        """Answer the permission that it waits for. Raises `Conflict` and `Invalid`."""
        await self._attempt.answer(option_id, request_id)

    async def run(self, agent: Agent) -> Ending:
        """Start the CLI and follow it to its end."""
        self.is_known.set()
        await self._look_at_repository(agent)
        ending = await self._attempt.run(agent)
        return await self._finished(agent, await self._with_further_tries(agent, ending))

    async def adopt(self, agent: Agent | None) -> Ending:
        """Go on with what an earlier broker started; `agent` is None when it was removed meanwhile."""
        await self._attempt.follow.catch_up()
        self.is_known.set()
        is_between_tries = self.execution.retried + self.execution.replaced >= self._attempt.number
        if self.execution.cancel_requested_at is not None:
            self.interrupt(Stop.CANCEL)  # its tree, and whatever would be tried after that
        ending = await self._attempt.adopt()
        if agent is None:
            return ending
        if is_between_tries:  # the earlier broker had judged it, and was waiting for the next one's time
            pause = again.pause_before(self.execution.retried)
            ending = await self._next_try(agent, self.workshop.clock.now() + pause)
        return await self._finished(agent, await self._with_further_tries(agent, ending))

    async def abort(self) -> None:
        """End the tree at once and return when it is gone: nobody can follow it any more."""
        await self._attempt.abort()

    async def release(self) -> None:
        """Follow it no longer and leave it running, with its files."""
        await self._attempt.release()

    async def clear(self) -> None:
        """Delete its files, once everything in them is recorded."""
        await self._attempt.settled()
        spool = Spool(self.workshop.spool / self.execution.execution_id)
        await asyncio.to_thread(spool.remove)

    def _bound(self, by: Tie) -> Bound:
        return Bound(execution_id=self.execution.execution_id, agent_id=self.execution.agent_id, by=by)

    def _new_attempt(self, number: int) -> Attempt:
        return Attempt(self.workshop, self.execution, self.limits, number, self.on_records)

    async def _with_further_tries(self, agent: Agent, ending: Ending) -> Ending:
        while (another := self._decide(agent, ending)) is not None:
            log.info(
                "trying an execution again", execution=self.execution.execution_id, reason=another.reason
            )
            # From the failure on, however long it takes to write down what was decided.
            begins_at = self.workshop.clock.now() + another.pause
            await self._begin_again(another, ending)
            ending = await self._next_try(agent, begins_at)
        return ending

    async def _next_try(self, agent: Agent, begins_at: datetime) -> Ending:
        await self._pause_until(begins_at)
        await self._attempt.settled()
        if self._interrupted.is_set():  # nothing is waited for behind this: it would not reach the next try
            return self._attempt.judge()
        self._attempt = self._new_attempt(self._attempt.number + 1)
        return await self._attempt.run(agent)

    async def _pause_until(self, instant: datetime) -> None:
        self.is_pausing = True
        try:
            await wait_for_either(self._interrupted, self.workshop.clock, instant)
        finally:
            self.is_pausing = False

    def _decide(self, agent: Agent, ending: Ending) -> Again | None:
        return again.decide(
            self.execution,
            ending,
            self.reader,
            session_is_alive=self.session_is_alive,
            retries=agent.retries,
            now=self.workshop.clock.now(),
        )

    async def _begin_again(self, another: Again, ending: Ending) -> None:
        execution = self.execution
        session_id = self.reader.session_id if self.session_is_alive else None
        self.execution = await self.workshop.write(
            lambda conn: retrying.begin_again(
                conn,
                execution,
                another,
                self.workshop.ids,
                ending=ending,
                session_id=session_id,
                now=self.workshop.clock.now(),
            )
        )

    async def _look_at_repository(self, agent: Agent) -> None:
        """Remember what the working directory holds, where it is a git repository."""
        before = await self._unless_interrupted(self._repository(agent).before())
        if before is None:
            return
        execution_id = self.execution.execution_id
        await self.workshop.write(lambda conn: store.note_changes(conn, execution_id, before))
        self.execution = replace(self.execution, changes=before)

    async def _finished(self, agent: Agent, ending: Ending) -> Ending:
        if self.execution.changes is None:
            return ending
        return replace(ending, changes=await self._repository(agent).since(self.execution.changes))

    async def _unless_interrupted(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What `work` comes to; None when somebody wants the execution ended meanwhile."""
        looking = asyncio.create_task(work)
        leaving = asyncio.create_task(self._interrupted.wait())
        try:
            await asyncio.wait({looking, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return looking.result() if looking.done() else None
        finally:
            for task in (looking, leaving):
                task.cancel()
            await asyncio.gather(looking, leaving, return_exceptions=True)

    def _repository(self, agent: Agent) -> Repository:
        return changes_of(self.workshop, self.execution, agent.cwd)
