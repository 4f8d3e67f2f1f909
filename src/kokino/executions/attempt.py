"""One process of an execution: start its CLI under the warden, follow it, judge how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import Connection

from kokino.agents.drivers.contract import Command, Driver, Exit, Invocation, Reader
from kokino.agents.drivers.registry import driver_named
from kokino.agents.failures import FailureKind
from kokino.agents.model import Agent, CliType, Limits
from kokino.errors import ProcessError
from kokino.executions import deadlines, store
from kokino.executions.agent_log import AgentLog
from kokino.executions.ending import Stop, decide
from kokino.executions.follow import MIB, Follow
from kokino.executions.model import Ending, Execution, State
from kokino.executions.spool import Spool
from kokino.executions.stuck import Stuck
from kokino.executions.workshop import Workshop
from kokino.process.client import CommandNotFound, WardenDied, read_exit_file
from kokino.process.model import Breach, Ended, Launch
from kokino.tasks import Tasks
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event, EventType


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
    _driver: Driver = field(init=False)
    _spool: Spool = field(init=False)
    _ended: Ended | None = None
    _tasks: Tasks = field(default_factory=Tasks)

    def __post_init__(self) -> None:
        execution = self.execution
        self._driver = driver_named(str(execution.driver))
        self.reader = self._driver.reader(execution.session_id if execution.is_resume else None)
        self._spool = Spool(self.workshop.spool / execution.execution_id, self.number)
        self.follow = Follow(
            execution=execution,
            limits=self.limits,
            reader=self.reader,
            spool=self._spool,
            storage=self.workshop.storage,
            clock=self.workshop.clock,
            agent_log=AgentLog(self.workshop.logs / f"{execution.agent_id}.log"),
            stop_tree=self._stop_tree,
            on_records=self.on_records,
        )

    @property
    def session_is_alive(self) -> bool:
        """False when the CLI has said that it does not know the session."""
        return self.reader.outcome(Exit()).session_is_alive

    async def run(self, agent: Agent) -> Ending:
        """Start the CLI and follow it to its end."""
        try:
            self._spool.create(self.execution.prompt)
            started = await self.workshop.warden.start(self._launch(agent))
        except (ProcessError, OSError) as error:
            return _could_not_start(error)
        if self.number > 1:
            await self.follow.number_on()
        pid, execution_id = started.pid, self.execution.execution_id
        noted = await self.workshop.storage.write(
            lambda conn: store.note_start(conn, execution_id, pid=pid, attempt=self.number)
        )
        if noted.cancel_requested_at is not None:
            self.follow.interrupt(Stop.CANCEL)
        if self.follow.stop is not None:
            self._stop_tree()  # it was interrupted while it started, when there was no tree to end yet
        return await self._with_version(agent, await self._see_through())

    async def adopt(self) -> Ending:
        """Go on with what an earlier broker started, or find out how it ended."""
        await self.follow.catch_up()
        if self.execution.cancel_requested_at is not None:
            self.follow.interrupt(Stop.CANCEL)
        return await self._see_through()

    async def abort(self) -> None:
        """End the tree at once and return when it is gone: nobody can follow it any more."""
        with suppress(ProcessError):
            await self.workshop.warden.stop(self.execution.execution_id, grace=timedelta(0))
            await self.workshop.warden.ended(self.execution.execution_id)

    async def settled(self) -> None:
        """Return when nothing of it is under way in the background."""
        await self._tasks.settled()

    async def _see_through(self) -> Ending:
        ended = self._tasks.start(self._wait(), name=f"end of {self.execution.execution_id}")
        await self.follow.until(ended, deadlines=deadlines.keep(self.follow, self._tell_stuck))
        self._ended = ended.result()
        return self.judge()

    def judge(self) -> Ending:
        """What it came to, now that its tree is gone."""
        return decide(self.reader, self._ended, self.follow.stop, self.limits)

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
        if ended is not None and ended.breach is Breach.OUTPUT:
            self.follow.drop_rest()
        return ended

    def _stop_tree(self) -> None:
        stopping = self.workshop.warden.stop(self.execution.execution_id, grace=self.limits.grace)
        self._tasks.start(stopping, name=f"stop {self.execution.execution_id}")

    async def _tell_stuck(self, found: Stuck) -> None:
        execution = self.execution
        event = Event(
            type=EventType.EXECUTION_STUCK,
            at=self.workshop.clock.now(),
            agent_id=execution.agent_id,
            cli_type=execution.cli_type,
            account=execution.account,
            execution_id=execution.execution_id,
            label=execution.label,
            message=found.message,
            data={"reason": found.reason.value},
        )

        def write(conn: Connection) -> None:
            telemetry.append(conn, event)

        await self.workshop.storage.write(write)

    def _launch(self, agent: Agent) -> Launch:
        cli_type, flags, model = self._configured(agent)
        command = self._driver.command(
            Invocation(
                agent_id=agent.agent_id,
                command=cli_type.command,
                flags=flags,
                model=model,
                session_id=str(self.execution.session_id),
                is_resume=bool(self.execution.is_resume),
                prompt_file=self._spool.prompt,
            )
        )
        return self._launch_of(agent, command, {**self._environment(agent), **command.env})

    def _configured(self, agent: Agent) -> tuple[CliType, tuple[str, ...], str | None]:
        """CLI type, flags and model.

        Those of an agent are written for its own CLI, as its environment is; elsewhere they mean nothing.
        """
        cli_type = self.workshop.cli_types[self.execution.cli_type]
        if self.execution.moved_from is not None:
            return cli_type, cli_type.flags, None
        return cli_type, (*cli_type.flags, *agent.flags), agent.model

    def _environment(self, agent: Agent) -> dict[str, str]:
        cli_type = self.workshop.cli_types[self.execution.cli_type]
        own = agent.env if self.execution.moved_from is None else {}
        return {**self.workshop.environment, **cli_type.env, **own}

    async def _with_version(self, agent: Agent, ending: Ending) -> Ending:
        """What its records do not tell of its version, its binary does; whoever cancels waits for nothing."""
        if ending.cli_version is not None or self.follow.stop is not None:
            return ending
        command = self.workshop.cli_types[self.execution.cli_type].command
        version = await self.workshop.versions.of(command, self._environment(agent), agent.cwd)
        return replace(ending, cli_version=version)

    def _launch_of(self, agent: Agent, command: Command, env: Mapping[str, str]) -> Launch:
        return Launch(
            id=self.execution.execution_id,
            argv=command.argv,
            env={**env, "KOKINO_AGENT": agent.agent_id},
            cwd=agent.cwd,
            stdin=command.stdin,
            stdout=self._spool.stdout,
            stderr=self._spool.stderr,
            exit_file=self._spool.exit,
            grace=self.limits.grace,
            memory_bytes=self.limits.memory_mb * MIB,
            processes=self.limits.processes,
            spool_bytes=self.limits.output_mb * MIB,
        )


def _could_not_start(error: Exception) -> Ending:
    if isinstance(error, WardenDied):
        return Ending(state=State.LOST, kind=FailureKind.LOST, error=str(error))
    kind = FailureKind.CLI_MISSING if isinstance(error, CommandNotFound) else FailureKind.SPAWN
    return Ending(state=State.FAILED, kind=kind, error=str(error))
