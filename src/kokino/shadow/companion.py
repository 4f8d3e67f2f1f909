"""Run a prompt once more, headless in a snapshot, beside the execution whose caller gets the answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from sqlalchemy import Connection

from kokino.agents import lock_store, session_store, traffic_store
from kokino.agents import store as agent_store
from kokino.agents.drivers.session_files import session_file
from kokino.agents.model import Agent, Fallback, Mode, Session, Source, shadow_of
from kokino.agents.routing import Route, Way
from kokino.conversations import store as conversation_store
from kokino.executions import lifecycle
from kokino.executions import store as execution_store
from kokino.executions.companion import beside
from kokino.executions.lifecycle import Claim
from kokino.executions.model import Execution, State
from kokino.executions.runner import Runner
from kokino.executions.workshop import Workshop
from kokino.shadow import forks, store
from kokino.shadow.choose import NotComparable, context_of, is_sampled
from kokino.shadow.files import NotTaken
from kokino.shadow.model import Comparison, Context, Verdict
from kokino.shadow.module import Comparisons
from kokino.shadow.normalise import relocated
from kokino.shadow.snapshot import Snapshot
from kokino.telemetry.model import PROBE, SHADOW

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A shadow side that is ready to begin."""

    comparison: Comparison
    #: The caller's execution.
    execution: Execution
    #: Who works in the snapshot.
    agent: Agent
    #: With paths that lead into the snapshot.
    prompt: str
    #: The copy of the agent's session; None where there is none.
    forked: str | None


@dataclass(slots=True, kw_only=True)
class Shadows:
    """Begins the shadow sides; `Comparisons` sees to their ends. See `executions.companion.Companion`."""

    runner: Runner
    comparisons: Comparisons
    #: False where as many executions run as may.
    has_place: Callable[[], bool]

    @property
    def workshop(self) -> Workshop:
        """What executions are run with."""
        return self.runner.workshop

    async def begin(self, execution: Execution, agent: Agent, is_wanted: Callable[[], bool]) -> None:
        """Begin the shadow side where it is asked for. Whatever happens, the caller's execution goes on."""
        is_meant = agent.mode is Mode.SHADOW and execution.label != PROBE
        if not is_meant or not is_sampled(execution.execution_id, agent.shadow_sample):
            return
        try:
            if await self.workshop.storage.read(store.off) is None:
                async with self.comparisons.docket(agent.agent_id):
                    await self._begin(execution, agent, is_wanted)
        except Exception:  # a full disk, a fault of ours: no reason to keep somebody's work waiting
            log.exception("a shadow side cannot be begun", execution=execution.execution_id)
        finally:
            self.workshop.on_event()  # whoever waited for the docket has to look again

    async def tree_is_gone(self, execution: Execution) -> None:
        """Note what the caller's side has changed, before anybody else can change more."""
        if execution.mode != Mode.TMUX:  # no other has anything beside it
            return
        try:
            await self.comparisons.look_at_root(execution)
        except Exception:  # then files are not compared
            log.exception("what an execution changed cannot be told", execution=execution.execution_id)

    async def _begin(self, execution: Execution, agent: Agent, is_wanted: Callable[[], bool]) -> None:
        async with contextlib.AsyncExitStack() as made:
            try:
                plan = await self._plan(execution, agent, made)
            except (NotTaken, NotComparable) as error:
                await self._tell_why_not(_new(execution, agent), str(error))
                return
            if not is_wanted():
                return
            try:
                claim = await self.workshop.storage.write(lambda conn: self._accept(conn, plan))
            except NotComparable:  # switched off in this moment
                return
            self.runner.start(claim)
            made.pop_all()  # from here on it is removed with the verdict

    async def _plan(self, execution: Execution, agent: Agent, made: contextlib.AsyncExitStack) -> Plan:
        """Make all that a shadow side needs; `made` takes it away again. Raises what `_begin` tells of."""
        self._check(execution, await self.workshop.storage.read(traffic_store.disabled))
        await self.comparisons.settle(agent.agent_id)
        context = await self._context(execution, agent)
        made.push_async_callback(self.comparisons.snapshots.remove, agent.agent_id)
        snapshot = await self.comparisons.snapshots.take(agent.agent_id, agent.cwd)
        forked = await self._forked(execution, agent, snapshot, made) if context is Context.FORK else None
        return Plan(
            comparison=replace(_new(execution, agent), root=str(snapshot.root), context=context),
            execution=execution,
            agent=_beside(agent, snapshot),
            prompt=relocated(execution.prompt, _into(snapshot)),
            forked=forked,
        )

    def _check(self, execution: Execution, disabled: Mapping[str, Fallback]) -> None:
        if execution.moved_from is not None:
            raise NotComparable(f"it was moved from {execution.moved_from} to {execution.cli_type}")
        if execution.mode != Mode.TMUX:
            raise NotComparable("it does not run in tmux")
        if execution.cli_type in disabled:
            # Known to be out of order, it would be a mismatch each time, and page for that.
            raise NotComparable(f"the headless form of {execution.cli_type} is disabled")
        if not self.has_place():
            raise NotComparable("as many executions run as may (process.executions)")

    async def _context(self, execution: Execution, agent: Agent) -> Context:
        other, conversation = shadow_of(agent.agent_id), str(execution.conversation_id)

        def is_in_step(conn: Connection) -> bool:
            lock = lock_store.get(conn, other)
            if lock is not None and lock.execution_id is not None:
                raise NotComparable(f"{lock.execution_id} is not over yet")
            session = session_store.get(conn, other, execution.cli_type)
            earlier = conversation_store.prompt_count(conn, conversation) - 1
            is_known = session is not None and session.is_established
            return is_known and store.heard(conn, conversation) == earlier

        in_step = await self.workshop.storage.read(is_in_step)
        own = self._session_file(execution, agent, str(execution.session_id), agent.cwd)
        return context_of(is_resume=bool(execution.is_resume), can_fork=own is not None, is_in_step=in_step)

    async def _forked(
        self, execution: Execution, agent: Agent, snapshot: Snapshot, made: contextlib.AsyncExitStack
    ) -> str:
        """Copy the agent's session for the shadow side; the id of the copy."""
        old, new = str(execution.session_id), self.workshop.ids.uuid()
        own = self._session_file(execution, agent, old, agent.cwd)
        copy = self._session_file(execution, agent, new, snapshot.cwd)
        assert own is not None  # noqa: S101 - it can be forked
        assert copy is not None  # noqa: S101 - the same CLI's
        made.callback(forks.forget, copy)
        await asyncio.to_thread(forks.fork, own, copy, ids=(old, new), places=_into(snapshot))
        return new

    def _session_file(self, execution: Execution, agent: Agent, session_id: str, cwd: Path) -> Path | None:
        cli_type = self.workshop.cli_types[execution.cli_type]
        env = {**self.workshop.environment, **cli_type.env, **agent.env}
        return session_file(cli_type.driver, session_id, cwd=cwd.resolve(), env=env)

    def _accept(self, conn: Connection, plan: Plan) -> Claim:
        """Everything that a shadow side is, as one transaction's worth of rows. Raises `NotComparable`."""
        if store.off(conn) is not None:
            raise NotComparable("shadow mode is switched off")
        now, ids, execution, agent = self.workshop.clock.now(), self.workshop.ids, plan.execution, plan.agent
        agent_store.put(conn, agent)
        if plan.comparison.context is not Context.CONTINUE:
            session_store.forget(conn, agent.agent_id)
        if plan.forked is not None:
            session = Session(
                agent_id=agent.agent_id, cli_type=execution.cli_type, session_id=plan.forked,
                conversation_id=ids.new("conv"), is_established=True, created_at=now, used_at=now,
            )  # fmt: skip
            conversation_store.begin(conn, session.conversation_id, agent.agent_id, now=now)
            session_store.begin(conn, session)
        accepted = execution_store.accept(conn, _once_more(execution, agent, plan.prompt))
        store.add(conn, replace(plan.comparison, shadow_execution_id=accepted.execution_id))
        way = Route(way=Way.RUN, cli_type=execution.cli_type, account=execution.account, reason="shadow mode")
        driver = self.workshop.cli_types[execution.cli_type].driver
        return lifecycle.begin(conn, accepted, agent, way, ids, driver=driver, now=now)

    async def _tell_why_not(self, comparison: Comparison, reason: str) -> None:
        log.info("an execution is not compared", execution=comparison.execution_id, reason=reason)
        now = self.workshop.clock.now()
        told = replace(comparison, ended_at=now, verdict=Verdict.NOT_COMPARED, reason=reason)
        await self.workshop.storage.write(lambda conn: store.add(conn, told))


def _new(execution: Execution, agent: Agent) -> Comparison:
    return Comparison(
        execution_id=execution.execution_id,
        shadow_execution_id=None,
        agent_id=agent.agent_id,
        cli_type=execution.cli_type,
        account=execution.account,
        label=execution.label,
        conversation_id=execution.conversation_id,
        began_at=execution.started_at or execution.queued_at,
        root=str(agent.cwd),
        threshold=agent.shadow_threshold,
    )


def _beside(agent: Agent, snapshot: Snapshot) -> Agent:
    """The agent that works in the snapshot: the same but for its place and its name."""
    # A copy that is no repository must not be taken for a part of one that it happens to lie in.
    ceiling = {"GIT_CEILING_DIRECTORIES": str(snapshot.copy.parent)}
    return replace(
        agent,
        agent_id=shadow_of(agent.agent_id),
        cwd=snapshot.cwd,
        mode=Mode.HEADLESS,
        env={**ceiling, **agent.env},
        source=Source.BROKER,
    )


def _once_more(execution: Execution, agent: Agent, prompt: str) -> Execution:
    return Execution(
        execution_id=beside(execution.execution_id),
        number=0,
        agent_id=agent.agent_id,
        cli_type=execution.cli_type,
        account=execution.account,
        mode=Mode.HEADLESS.value,
        pool=execution.pool,
        state=State.QUEUED,
        label=SHADOW,
        prompt=prompt,
        metadata={"shadowOf": execution.execution_id},
        timeout=execution.timeout,
        queue_timeout=execution.queue_timeout,
        queued_at=execution.started_at or execution.queued_at,
    )


def _into(snapshot: Snapshot) -> dict[str, str]:
    """Where paths of the real directory lead in the snapshot."""
    return {str(snapshot.root): str(snapshot.copy)}
