"""Run claimed executions under the warden, and write their ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from kokino.agents.drivers.contract import Command, Driver, Exit, Invocation, Reader
from kokino.agents.drivers.registry import driver_named
from kokino.agents.failures import FailureKind
from kokino.agents.model import Agent, CliType, Limits
from kokino.clock import Clock
from kokino.errors import ProcessError
from kokino.executions import store
from kokino.executions.ending import Stop, decide
from kokino.executions.follow import Follow
from kokino.executions.lifecycle import Claim, end
from kokino.executions.model import Ending, Execution, State
from kokino.executions.spool import Spool
from kokino.executions.watch import Topic, Watch
from kokino.ids import Ids
from kokino.process.client import CommandNotFound, Warden, read_exit_file
from kokino.process.model import Ended, Launch
from kokino.storage import Storage
from kokino.storage.text import storable
from kokino.tasks import Tasks

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Runner:
    """Holds every execution that runs in this broker."""

    storage: Storage
    clock: Clock
    ids: Ids
    warden: Warden
    watch: Watch
    cli_types: Mapping[str, CliType]
    #: Below it each running execution has a folder.
    spool: Path
    #: What every CLI inherits, before its CLI type's and agent's own variables.
    environment: Mapping[str, str]
    #: Told of every end, after it was written.
    on_end: Callable[[Execution], None]
    _running: dict[str, Follow] = field(default_factory=dict)
    _tasks: Tasks = field(default_factory=Tasks)

    @property
    def in_flight(self) -> int:
        """How many executions run here."""
        return self._tasks.in_flight

    def start(self, claim: Claim) -> None:
        """Run it in the background."""
        self._tasks.start(self._run(claim), name=f"execution {claim.execution.execution_id}")

    def adopt(self, execution: Execution, limits: Limits) -> None:
        """Go on with an execution that an earlier broker started, or write the end that nobody saw."""
        self._tasks.start(self._go_on(execution, limits), name=f"adopted {execution.execution_id}")

    def interrupt(self, execution_id: str, reason: Stop) -> bool:
        """End a running execution's tree; False when it does not run here."""
        follow = self._running.get(execution_id)
        if follow is None:
            return False
        follow.interrupt(reason)
        return True

    async def stop(self) -> None:
        """End every tree, write every end."""
        for follow in list(self._running.values()):
            follow.interrupt(Stop.SHUTDOWN)
        await self._tasks.settled()

    async def _run(self, claim: Claim) -> None:
        execution, agent = claim.execution, claim.agent
        spool = Spool(self.spool / execution.execution_id)
        driver = driver_named(self.cli_types[execution.cli_type].driver)
        reader = driver.reader()
        follow = self._follow(execution, agent.limits, reader, spool)
        try:
            spool.create(execution.prompt)
            launch = self._launch(execution, agent, driver, spool)
            self._running[execution.execution_id] = follow
            started = await self.warden.start(launch)
        except (ProcessError, OSError) as error:
            self._running.pop(execution.execution_id, None)
            await self._end(execution, _could_not_start(error), reader, spool)
            return
        await self.storage.write(lambda conn: store.note_pid(conn, execution.execution_id, started.pid))
        if follow.stop is not None:
            follow.stop_tree()  # it was interrupted while it started, when there was no tree to end yet
        await self._see_through(follow)

    async def _go_on(self, execution: Execution, limits: Limits) -> None:
        spool = Spool(self.spool / execution.execution_id)
        cli_type = self.cli_types.get(execution.cli_type)
        reader = driver_named(cli_type.driver if cli_type else "scripted").reader()
        follow = self._follow(execution, limits, reader, spool)
        await follow.skip_recorded()
        if execution.cancel_requested_at is not None:
            follow.interrupt(Stop.CANCEL)
        await self._see_through(follow)

    async def _see_through(self, follow: Follow) -> None:
        execution = follow.execution
        self._running[execution.execution_id] = follow
        try:
            ended = asyncio.ensure_future(self._exit(execution.execution_id, follow.spool))
            await follow.until(ended)
            exit_, is_orphaned = ended.result()
            ending = decide(follow.reader, exit_, follow.stop, is_orphaned=is_orphaned)
        except Exception:
            # It cannot be recorded any more (a full disk, for one): it must not go on unseen.
            follow.stop_tree()
            raise
        finally:
            self._running.pop(execution.execution_id, None)
        await self._end(execution, ending, follow.reader, follow.spool)

    async def _exit(self, execution_id: str, spool: Spool) -> tuple[Exit | None, bool]:
        """How the CLI exited, once its whole tree is gone, and whether somebody made it.

        The exit is None when nobody saw it.
        """
        ended: Ended | None
        try:
            ended = await self.warden.ended(execution_id)
        except ProcessError:
            # This warden never knew it, or died unheard: its keeper has left word in the exit file, if any.
            ended = read_exit_file(spool.exit)
        if ended is None or (ended.code is None and ended.signal is None):
            return None, False
        return Exit(code=ended.code, signal=ended.signal), ended.was_stopped

    async def _end(self, execution: Execution, ending: Ending, reader: Reader, spool: Spool) -> None:
        is_alive = ending.state is State.COMPLETED or reader.outcome(Exit()).session_is_alive
        clean = _storable(ending)
        ended = await self.storage.write(
            lambda conn: end(
                conn,
                execution,
                clean,
                self.ids,
                now=self.clock.now(),
                session_id=reader.session_id,
                session_is_alive=is_alive,
            )
        )
        spool.remove()
        _tell(ended)
        self.watch.ring(Topic.END, ended.execution_id)
        self.on_end(ended)

    def _follow(self, execution: Execution, limits: Limits, reader: Reader, spool: Spool) -> Follow:
        execution_id = execution.execution_id
        return Follow(
            execution=execution,
            limits=limits,
            reader=reader,
            spool=spool,
            storage=self.storage,
            clock=self.clock,
            stop_tree=lambda: self._tasks.start(
                self.warden.stop(execution_id, grace=limits.grace), name=f"stop {execution_id}"
            ),
            on_records=lambda recorded: self.watch.ring(Topic.RECORDS, recorded),
        )

    def _launch(self, execution: Execution, agent: Agent, driver: Driver, spool: Spool) -> Launch:
        cli_type = self.cli_types[execution.cli_type]
        # Flags, model and environment of an agent are written for its own CLI; elsewhere they mean nothing.
        own = execution.moved_from is None
        command = driver.command(
            Invocation(
                agent_id=agent.agent_id,
                command=cli_type.command,
                flags=(*cli_type.flags, *(agent.flags if own else ())),
                model=agent.model if own else None,
                session_id=str(execution.session_id),
                is_resume=bool(execution.is_resume),
                prompt_file=spool.prompt,
            )
        )
        env = {**self.environment, **cli_type.env, **(agent.env if own else {}), **command.env}
        return _launch(execution, agent, command, env, spool)


def _launch(
    execution: Execution, agent: Agent, command: Command, env: Mapping[str, str], spool: Spool
) -> Launch:
    return Launch(
        id=execution.execution_id,
        argv=command.argv,
        env={**env, "KOKINO_AGENT": agent.agent_id},
        cwd=agent.cwd,
        stdin=command.stdin,
        stdout=spool.stdout,
        stderr=spool.stderr,
        exit_file=spool.exit,
        grace=agent.limits.grace,
    )


def _tell(ended: Execution) -> None:
    """One line in the log; an ERROR where somebody's work was lost, so that ``grep ERROR`` finds it."""
    facts = {
        "execution": ended.execution_id,
        "agent": ended.agent_id,
        "cli_type": ended.cli_type,
        "state": ended.state.value,
    }
    if ended.state in {State.COMPLETED, State.CANCELLED}:
        log.info("execution ended", **facts)
    else:
        log.error("execution failed", **facts, kind=ended.kind and ended.kind.value, reason=ended.error)


def _could_not_start(error: Exception) -> Ending:
    kind = FailureKind.CLI_MISSING if isinstance(error, CommandNotFound) else FailureKind.SPAWN
    return Ending(state=State.FAILED, kind=kind, error=str(error))


def _storable(ending: Ending) -> Ending:
    return Ending(
        state=ending.state,
        kind=ending.kind,
        error=None if ending.error is None else storable(ending.error),
        exit_code=ending.exit_code,
        exit_signal=ending.exit_signal,
        content=None if ending.content is None else storable(ending.content),
        usage=ending.usage,
        cost_usd=ending.cost_usd,
        cli_version=None if ending.cli_version is None else storable(ending.cli_version),
    )
