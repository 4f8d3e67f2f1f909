"""Run one execution as a headless process: start its CLI under the warden, follow it, judge its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from kokino.agents.drivers.contract import Command, Driver, Exit, Invocation, Reader
from kokino.agents.drivers.registry import driver_named
from kokino.agents.failures import FailureKind
from kokino.agents.model import Agent, CliType, Limits
from kokino.clock import Clock
from kokino.errors import ProcessError
from kokino.executions import store
from kokino.executions.ending import Stop, decide
from kokino.executions.follow import Follow
from kokino.executions.model import Ending, Execution, State
from kokino.executions.spool import Spool
from kokino.process.client import CommandNotFound, Warden, read_exit_file
from kokino.process.model import Ended, Launch
from kokino.storage import Storage
from kokino.tasks import Tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What every headless execution is run with."""

    storage: Storage
    clock: Clock
    warden: Warden
    cli_types: Mapping[str, CliType]
    #: Below it each running execution has a folder.
    spool: Path
    #: What every CLI inherits, before its CLI type's and agent's own variables.
    environment: Mapping[str, str]


@dataclass(slots=True)
class Headless:
    """One execution as a process. `run` or `adopt` it, once; both return its end when its tree is gone."""

    workshop: Workshop
    execution: Execution
    limits: Limits
    #: Called after records were added.
    on_records: Callable[[str], None]
    reader: Reader = field(init=False)
    _driver: Driver = field(init=False)
    _spool: Spool = field(init=False)
    _follow: Follow = field(init=False)
    _tasks: Tasks = field(default_factory=Tasks)

    def __post_init__(self) -> None:
        self._driver = driver_named(str(self.execution.driver))
        self.reader = self._driver.reader()
        self._spool = Spool(self.workshop.spool / self.execution.execution_id)
        self._follow = Follow(
            execution=self.execution,
            limits=self.limits,
            reader=self.reader,
            spool=self._spool,
            storage=self.workshop.storage,
            clock=self.workshop.clock,
            stop_tree=self._stop_tree,
            on_records=self.on_records,
        )

    @property
    def session_is_alive(self) -> bool:
        """False when the CLI has said that it does not know the session."""
        return self.reader.outcome(Exit()).session_is_alive

    def interrupt(self, reason: Stop) -> None:
        """End the tree, now or as soon as it has started. The first reason counts."""
        self._follow.interrupt(reason)

    async def run(self, agent: Agent) -> Ending:
        """Start the CLI and follow it to its end."""
        try:
            self._spool.create(self.execution.prompt)
            started = await self.workshop.warden.start(self._launch(agent))
        except (ProcessError, OSError) as error:
            return _could_not_start(error)
        pid, execution_id = started.pid, self.execution.execution_id
        noted = await self.workshop.storage.write(lambda conn: store.note_pid(conn, execution_id, pid))
        if noted.cancel_requested_at is not None:
            self.interrupt(Stop.CANCEL)
        if self._follow.stop is not None:
            self._stop_tree()  # it was interrupted while it started, when there was no tree to end yet
        return await self._see_through()

    async def adopt(self) -> Ending:
        """Go on with what an earlier broker started, or find out how it ended."""
        await self._follow.skip_recorded()
        if self.execution.cancel_requested_at is not None:
            self.interrupt(Stop.CANCEL)
        return await self._see_through()

    async def abort(self) -> None:
        """End the tree at once and return when it is gone: nobody can follow it any more."""
        with suppress(ProcessError):
            await self.workshop.warden.stop(self.execution.execution_id, grace=timedelta(0))
            await self.workshop.warden.ended(self.execution.execution_id)

    async def clear(self) -> None:
        """Delete its files, once everything in them is recorded."""
        await self._tasks.settled()
        await asyncio.to_thread(self._spool.remove)

    async def _see_through(self) -> Ending:
        ended = asyncio.ensure_future(self._exit())
        await self._follow.until(ended)
        exit_, is_orphaned = ended.result()
        return decide(self.reader, exit_, self._follow.stop, is_orphaned=is_orphaned)

    async def _exit(self) -> tuple[Exit | None, bool]:
        """How the CLI exited, once its whole tree is gone, and whether somebody made it.

        The exit is None when nobody saw it.
        """
        ended: Ended | None
        try:
            ended = await self.workshop.warden.ended(self.execution.execution_id)
        except ProcessError:
            # This warden never knew it, or died unheard: its keeper has left word in the exit file, if any.
            ended = read_exit_file(self._spool.exit)
        if ended is None or (ended.code is None and ended.signal is None):
            return None, False
        return Exit(code=ended.code, signal=ended.signal), ended.was_stopped

    def _stop_tree(self) -> None:
        stopping = self.workshop.warden.stop(self.execution.execution_id, grace=self.limits.grace)
        self._tasks.start(stopping, name=f"stop {self.execution.execution_id}")

    def _launch(self, agent: Agent) -> Launch:
        execution, cli_type = self.execution, self.workshop.cli_types[self.execution.cli_type]
        # Flags, model and environment of an agent are written for its own CLI; elsewhere they mean nothing.
        is_at_home = execution.moved_from is None
        command = self._driver.command(
            Invocation(
                agent_id=agent.agent_id,
                command=cli_type.command,
                flags=(*cli_type.flags, *(agent.flags if is_at_home else ())),
                model=agent.model if is_at_home else None,
                session_id=str(execution.session_id),
                is_resume=bool(execution.is_resume),
                prompt_file=self._spool.prompt,
            )
        )
        env = {
            **self.workshop.environment,
            **cli_type.env,
            **(agent.env if is_at_home else {}),
            **command.env,
        }
        return self._launch_of(agent, command, env)

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
            grace=agent.limits.grace,
        )


def _could_not_start(error: Exception) -> Ending:
    kind = FailureKind.CLI_MISSING if isinstance(error, CommandNotFound) else FailureKind.SPAWN
    return Ending(state=State.FAILED, kind=kind, error=str(error))
