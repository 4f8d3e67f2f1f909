"""One process of an execution: start its CLI under the warden, follow it, judge how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from kokino.agents.drivers.contract import Dialogue, Driver, Exit, Reader
from kokino.agents.drivers.registry import driver_named
from kokino.agents.failures import FailureKind
from kokino.agents.model import Agent, Limits
from kokino.errors import Conflict, ProcessError
from kokino.executions import notices, store
from kokino.executions.attempts import deadlines
from kokino.executions.attempts.channel import Channel
from kokino.executions.attempts.ending import decide
from kokino.executions.attempts.exchange import POLITE, Exchange
from kokino.executions.attempts.setup import Setup
from kokino.executions.model import Ending, Execution, State, Waiting
from kokino.executions.output.agent_log import AgentLog
from kokino.executions.output.follow import Follow
from kokino.executions.output.recorder import Recorder
from kokino.executions.output.spool import Spool
from kokino.executions.overdue.stuck import Stuck
from kokino.executions.stop import Stop
from kokino.executions.terminal.ending import epitaph
from kokino.executions.terminal.seat import GivenUp, Seat
from kokino.executions.workshop import Workshop
from kokino.process.client import CommandNotFound, WardenDied, read_exit_file
from kokino.process.model import Breach, Ended, Launch, Started
from kokino.tasks import Tasks

#: Reasons for which a CLI that is spoken with is first asked to stop by itself.
POLITELY = frozenset({Stop.CANCEL, Stop.SHUTDOWN, Stop.TIMEOUT, Stop.IDLE})


@dataclass(slots=True)
class Attempt:
    """One try. `run` or `adopt` it, once; both return what it came to when its tree is gone."""

    workshop: Workshop
    execution: Execution
    limits: Limits
    #: Which try of the execution it is, from 1.
    number: int
    #: Called after records were added.
    on_records: Callable[[str], None]
    reader: Reader = field(init=False)
    follow: Follow = field(init=False)
    #: None for a CLI that is not spoken with.
    exchange: Exchange | None = field(init=False)
    _driver: Driver = field(init=False)
    #: Where its CLI is worked in a terminal; None for a headless one.
    _seat: Seat | None = field(init=False)
    _spool: Spool = field(init=False)
    _ended: Ended | None = None
    _end: asyncio.Task[Ended | None] | None = None
    _tasks: Tasks = field(default_factory=Tasks)

    def __post_init__(self) -> None:
        execution = self.execution
        self._driver = driver_named(str(execution.driver))
        resumed = execution.session_id if execution.is_resume else None
        self._spool = Spool(self.workshop.spool / execution.execution_id, self.number)
        self._seat = Seat.of(self.workshop, execution, self._spool)
        self.reader = (self._seat.form if self._seat else self._driver).reader(resumed)
        self.exchange = self._new_exchange() if isinstance(self.reader, Dialogue) else None
        self.follow = Follow(
            execution=execution,
            limits=self.limits,
            reader=self.reader,
            spool=self._spool,
            recorder=self._new_recorder(),
            clock=self.workshop.clock,
            stop_tree=self._stop_tree,
            on_records=self.on_records,
            exchange=self.exchange,
        )
        if self._seat is not None:
            self._seat.read_by(self.follow)

    @property
    def session_is_alive(self) -> bool:
        """False when the CLI has said that it does not know the session."""
        return self.reader.outcome(Exit()).session_is_alive

    @property
    def has_begun(self) -> bool:
        """Its CLI was started, or may have been."""
        return self._spool.stdout.exists()

    async def run(self, agent: Agent) -> Ending:
        """Start the CLI and follow it to its end; one that was interrupted before is not started."""
        if self.follow.stop is not None:
            return self.judge()
        setup = Setup.of(self.workshop, self.execution, agent)
        # tmux, or the database, may take longer for a start than there is time.
        async with deadlines.wall(self.follow):
            try:
                started = await self._started(setup)
            except GivenUp as given_up:
                return _never_started(self.judge(), given_up)
            except (ProcessError, OSError) as error:
                self._hang_up()
                return _could_not_start(error)
            await self._begin(setup)
            await self._note_start(started.pid)
        if self.follow.stop is not None:
            self._stop_tree()  # it was interrupted while it started, when there was no tree to end yet
        return self._with_version(setup, await self._see_through())

    async def _started(self, setup: Setup) -> Started:
        self._spool.create(self.execution.prompt)
        if self.exchange is not None:
            self.exchange.channel.create()
        return await self.workshop.warden.start(await self._launch(setup))

    async def _begin(self, setup: Setup) -> None:
        """Speak, or type, now that it runs."""
        if self.exchange is not None and self.follow.stop is None:
            self.exchange.open(setup.opening())
        if self.number > 1:
            await self.follow.recorder.number_on()
        if self._seat is not None:
            self._tasks.start(
                self._seat.work(self.follow, setup.agent, self._note_waiting),
                name=f"typing for {self.execution.execution_id}",
            )

    async def _note_start(self, pid: int) -> None:
        execution_id = self.execution.execution_id
        noted = await self.workshop.write(
            lambda conn: store.note_start(conn, execution_id, pid=pid, attempt=self.number)
        )
        if noted.cancel_requested_at is not None:
            self.follow.interrupt(Stop.CANCEL)

    async def adopt(self) -> Ending:
        """Go on with what an earlier broker started, or find out how it ended; `follow` has caught up.

        A dialogue has ended with that broker, and so has its CLI if it is as it should be.
        """
        if self.exchange is not None or self._seat is not None:
            self.follow.interrupt(Stop.ORPHANED)
        return await self._see_through()

    async def answer(self, option_id: str, request_id: str | None) -> None:
        """Answer the permission that it waits for. Raises `Conflict` and `Invalid`."""
        partner = self._seat.questions if self._seat else self.exchange
        if partner is None:
            raise Conflict(f"CLI type {self.execution.cli_type!r} asks nobody: it is not spoken with")
        await partner.answer(option_id, request_id)
        self.follow.woke()

    async def abort(self) -> None:
        """End the tree at once and return when it is gone: nobody can follow it any more."""
        self._hang_up()
        with suppress(ProcessError):
            await self.workshop.warden.stop(self.execution.execution_id, grace=timedelta(0))
            await self.workshop.warden.ended(self.execution.execution_id)

    async def release(self) -> None:
        """Follow it no longer and leave it running."""
        await self._tasks.stop()

    async def settled(self) -> None:
        """Return when nothing of it is under way in the background."""
        await self._tasks.settled()

    async def _see_through(self) -> Ending:
        self._end = self._tasks.start(self._wait(), name=f"end of {self.execution.execution_id}")
        await self.follow.until(self._end, deadlines=deadlines.keep(self.follow, self._tell_stuck))
        self._hang_up()
        self._ended = self._end.result()
        return self.judge()

    def judge(self) -> Ending:
        """What it came to, now that its tree is gone."""
        limits = replace(self.limits, timeout=self.execution.timeout)
        ending = decide(self.reader, self._ended, self.follow.stop, limits)
        if self._seat is not None:
            ending = self._seat.explain(ending, self.follow.stop, is_final=self.reader.is_final)
        cli_type = self.workshop.cli_types.get(self.execution.cli_type)
        return ending if cli_type is None else replace(ending, memory_slo_mb=cli_type.memory_slo_mb)

    async def _wait(self) -> Ended | None:
        """How the processes ended, once all are gone; None when nobody saw it."""
        ended: Ended | None
        try:
            ended = await self.workshop.warden.ended(self.execution.execution_id)
        except ProcessError:
            ended = None
        # Its own exit file goes before what the warden remembers: that may be the end of an earlier try. And
        # where the warden never knew it, or died unheard, the keeper has left word there.
        ended = read_exit_file(self._spool.exit) or ended
        if self._seat is not None:
            await self._seat.leave(epitaph(ended, self.workshop.clock.now()))
        if ended is not None and ended.breach is Breach.OUTPUT:
            self.follow.drop_rest()
        return ended

    def _stop_tree(self) -> None:
        self._tasks.start(self._stop(), name=f"stop {self.execution.execution_id}")

    async def _stop(self) -> None:
        grace = self.limits.grace
        if self._seat is not None:
            self._seat.hurry(grace)
        if self.follow.stop in POLITELY and await self._was_asked() and self._end is not None:
            await asyncio.wait({self._end}, timeout=min(POLITE, grace.total_seconds()))
        await self.workshop.warden.stop(self.execution.execution_id, grace=grace)

    async def _was_asked(self) -> bool:
        """Ask the CLI to stop by itself; False where it cannot be asked."""
        if self.exchange is not None and self.exchange.is_open:
            self.exchange.cancel()
            return True
        return self._seat is not None and self._end is not None and await self._seat.halt()

    def _new_recorder(self) -> Recorder:
        return Recorder(
            execution_id=self.execution.execution_id,
            attempt=self.number,
            storage=self.workshop.storage,
            agent_log=AgentLog(self.workshop.logs / f"{self.execution.agent_id}.log"),
        )

    def _new_exchange(self) -> Exchange:
        assert isinstance(self.reader, Dialogue)  # noqa: S101 - the caller has looked
        return Exchange(
            dialogue=self.reader,
            channel=Channel(self._spool.stdin),
            clock=self.workshop.clock,
            note=self._note_waiting,
            start=lambda work: self._tasks.start(work, name=f"waiting {self.execution.execution_id}"),
        )

    def _hang_up(self) -> None:
        if self.exchange is not None:
            self.exchange.channel.close()

    async def _tell_stuck(self, found: Stuck) -> None:
        execution, now = self.execution, self.workshop.clock.now()
        await self.workshop.write(lambda conn: notices.tell_stuck(conn, execution, found, now=now))
        self.workshop.on_event()

    async def _note_waiting(self, waiting: Waiting | None) -> None:
        execution, now = self.execution, self.workshop.clock.now()
        await self.workshop.write(lambda conn: notices.note_waiting(conn, execution, waiting, now=now))
        self.workshop.on_event()

    async def _launch(self, setup: Setup) -> Launch:
        invocation = setup.invocation(self._spool)
        command = (self._seat.form if self._seat else self._driver).command(invocation)
        stdin = command.stdin if self.exchange is None else self.exchange.channel.path
        launch = setup.launch(command, self._spool, self.limits, stdin=stdin)
        if self._seat is None:
            return launch
        return await self._seat.prepare(launch, invocation, self.follow)

    def _with_version(self, setup: Setup, ending: Ending) -> Ending:
        """What its records do not tell of its version, its binary does, if need be some time later.

        A CLI that is spoken with has told whatever it wants to; its command may be any program.
        """
        if ending.cli_version is not None or self.exchange is not None:
            return ending
        binary = (setup.command, setup.env, setup.agent.cwd)
        version = self.workshop.versions.known(*binary)
        if version is None:
            self.workshop.versions.note(self.execution.execution_id, *binary)
        return replace(ending, cli_version=version)


def _never_started(ending: Ending, given_up: GivenUp) -> Ending:
    """The end of one that was to end before it ran; of a deadline that says why it was not met."""
    return replace(ending, error=str(given_up)) if ending.state is State.TIMEOUT else ending


def _could_not_start(error: Exception) -> Ending:
    if isinstance(error, WardenDied):
        return Ending(state=State.LOST, kind=FailureKind.LOST, error=str(error))
    kind = FailureKind.CLI_MISSING if isinstance(error, CommandNotFound) else FailureKind.SPAWN
    return Ending(state=State.FAILED, kind=kind, error=str(error))
