"""See every comparison to its end: wait, end a shadow side that is too slow, judge, tell, and clean up."""

from __future__ import annotations

import asyncio
import shutil
from collections import defaultdict
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy import Connection

from kokino.agents import store as agent_store
from kokino.agents.drivers.session_files import session_file
from kokino.agents.model import Agent, shadow_of
from kokino.executions import store as execution_store
from kokino.executions.changes.git import GitFailed
from kokino.executions.changes.repository import changes_of
from kokino.executions.model import Execution
from kokino.executions.runner import Runner
from kokino.executions.stop import Stop
from kokino.shadow import fate, forks, store
from kokino.shadow.compare import compare
from kokino.shadow.difference import difference
from kokino.shadow.fate import Drop, EndShadow, Fate, Judge, Wait
from kokino.shadow.measured import condensed, measured, result_of
from kokino.shadow.model import Comparison, Finding, Layer, Verdict
from kokino.shadow.normalise import relocated
from kokino.shadow.notices import tell
from kokino.shadow.snapshot import Snapshots
from kokino.storage.redact import secrets_of
from kokino.tasks import Tasks

log = structlog.get_logger(__name__)

#: When to try again what was begun and is not over.
LOOK_AGAIN = timedelta(seconds=5)


@dataclass(slots=True, kw_only=True)
class Comparisons:
    """The engine's module for comparisons. Whatever it finds in the database it takes to its end."""

    runner: Runner
    snapshots: Snapshots
    name: str = "shadow"
    _dockets: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    #: Comparisons with a task of their own.
    _turns: set[str] = field(default_factory=set)
    _tasks: Tasks = field(default_factory=Tasks)
    _has_swept: bool = False

    @property
    def in_flight(self) -> int:
        """How many comparisons are being judged."""
        return self._tasks.in_flight

    async def run(self, now: datetime) -> datetime | None:
        """Take every comparison a step further, in the background; when to look again if nothing wakes us."""
        if not self._has_swept:
            self._has_swept = True
            self._tasks.start(self._sweep(), name="shadow sweep")
        due = []
        for pending in await self.runner.workshop.storage.read(store.pending):
            found = await self._fate(pending, now)
            if not isinstance(found, Wait):
                self._begin_turn(pending)
            due.append(found.until if isinstance(found, Wait) else now + LOOK_AGAIN)
        return min((instant for instant in due if instant is not None), default=None)

    async def stop(self) -> None:
        """End the background work; another broker finds it in the database."""
        await self._tasks.stop()

    def docket(self, agent_id: str) -> AbstractAsyncContextManager[None]:
        """An agent has one snapshot at a time: whoever makes, judges or removes it holds this meanwhile."""
        return self._dockets[agent_id]

    async def settle(self, agent_id: str) -> None:
        """Judge what is over of an agent, now; whoever asks holds its docket."""
        now = self.runner.workshop.clock.now()
        for one in await self._pending_of(agent_id):
            await self._step(one, now)

    async def cut_off(self, pending: Comparison, reason: str) -> None:
        """End a shadow side; the verdict will say why."""
        workshop, execution_id = self.runner.workshop, str(pending.shadow_execution_id)

        def note(conn: Connection) -> None:
            store.note_cut_off(conn, pending.execution_id, reason)
            execution_store.request_cancel(conn, execution_id, now=workshop.clock.now())

        await workshop.storage.write(note)
        self.runner.interrupt(execution_id, Stop.CANCEL)

    async def look_at_root(self, execution: Execution) -> None:
        """Note what the caller's side has changed."""
        storage, execution_id = self.runner.workshop.storage, execution.execution_id
        pending = await storage.read(lambda conn: store.get(conn, execution_id))
        if pending is None or pending.ended_at is not None:
            return
        changed = await self.snapshots.changed_in_root(pending.agent_id, Path(pending.root))
        if changed is not None:
            kept = condensed(changed)
            await storage.write(lambda conn: store.note_changed(conn, execution_id, kept))

    async def _sweep(self) -> None:
        """Remove what a broker that died has left."""
        for agent_id in await self.snapshots.known():
            async with self.docket(agent_id):
                if not await self._pending_of(agent_id):
                    await self.snapshots.remove(agent_id)

    def _begin_turn(self, pending: Comparison) -> None:
        if pending.execution_id not in self._turns:
            self._turns.add(pending.execution_id)
            self._tasks.start(self._turn(pending), name=f"comparison {pending.execution_id}")

    async def _turn(self, pending: Comparison) -> None:
        try:
            async with self.docket(pending.agent_id):
                await self.settle(pending.agent_id)
        finally:
            self._turns.discard(pending.execution_id)

    async def _pending_of(self, agent_id: str) -> list[Comparison]:
        return await self.runner.workshop.storage.read(lambda conn: store.pending(conn, agent_id))

    async def _fate(self, pending: Comparison, now: datetime) -> Fate:
        sides = await self.runner.workshop.storage.read(lambda conn: _sides(conn, pending))
        return fate.decide(*sides, pending.cut_off, now)

    async def _step(self, pending: Comparison, now: datetime) -> None:
        sides = await self.runner.workshop.storage.read(lambda conn: _sides(conn, pending))
        match found := fate.decide(*sides, pending.cut_off, now):
            case EndShadow():
                await self.cut_off(pending, found.reason)
            case Drop():
                judged = replace(measured(pending, *sides, now), reason=found.reason)
                await self._end(replace(judged, verdict=Verdict.NOT_COMPARED))
            case Judge():
                await self._end(await self._judged(measured(pending, *sides, now), *sides))

    async def _judged(
        self, pending: Comparison, tmux: Execution | None, headless: Execution | None
    ) -> Comparison:
        assert tmux is not None  # noqa: S101 - what is not there is not judged
        assert headless is not None  # noqa: S101 - as above
        changed = await self.snapshots.changed_in_copy(pending.agent_id, Path(pending.root))
        copy = self.snapshots.copy_of(pending.agent_id, Path(pending.root))
        said = relocated(headless.content or "", {str(copy): pending.root})
        first = result_of(tmux, tmux.content or "", pending.changed)
        second = result_of(headless, said, None if changed is None else condensed(changed))
        found = await asyncio.to_thread(compare, first, second, threshold=pending.threshold)
        told = None
        if found.verdict is Verdict.MISMATCH:
            told = await asyncio.to_thread(
                difference,
                first,
                second,
                files=await self._files(found, tmux, headless),
                secrets=await self._secrets(pending),
            )
        return replace(
            pending,
            verdict=found.verdict,
            layer=found.layer,
            reason=found.reason,
            similarity=found.similarity,
            difference=told,
        )

    async def _files(self, found: Finding, tmux: Execution, headless: Execution) -> str | None:
        """A diff from one side's files to the other's, where they differ and git can tell it."""
        if found.layer is not Layer.FILES or not tmux.changes or not headless.changes:
            return None
        one, other = (changes_of(self.runner.workshop, side) for side in (tmux, headless))
        try:
            return await one.otherwise(tmux.changes, other, headless.changes)
        except (GitFailed, KeyError) as error:
            log.info("a diff of files cannot be told", execution=tmux.execution_id, reason=str(error))
            return None

    async def _end(self, judged: Comparison) -> None:
        """Write the verdict with its events, then take away what was made for it."""

        def write(conn: Connection) -> None:
            if store.judge(conn, judged):
                tell(conn, judged)

        await self.runner.workshop.storage.write(write)
        self.runner.workshop.on_event()
        await self._clean(judged)

    async def _clean(self, judged: Comparison) -> None:
        storage, shadow_id = self.runner.workshop.storage, str(judged.shadow_execution_id)
        await self.snapshots.remove(judged.agent_id)
        # What it changed was changed in a place that is gone.
        changes = self.runner.workshop.changes / shadow_id
        await asyncio.to_thread(shutil.rmtree, changes, ignore_errors=True)
        agent, execution = await storage.read(
            lambda conn: (
                agent_store.get(conn, shadow_of(judged.agent_id)),
                execution_store.get(conn, shadow_id),
            )
        )
        if agent is not None and execution is not None:
            await asyncio.to_thread(self._forget_session, agent, execution)

    def _forget_session(self, agent: Agent, execution: Execution) -> None:
        """A session that can be copied is copied anew each time: the last copy is of no use."""
        cli_type = self.runner.workshop.cli_types.get(execution.cli_type)
        if cli_type is None or execution.session_id is None:
            return
        env = {**self.runner.workshop.environment, **cli_type.env, **agent.env}
        file = session_file(cli_type.driver, execution.session_id, cwd=agent.cwd, env=env)
        if file is not None:
            forks.forget(file)

    async def _secrets(self, judged: Comparison) -> list[str]:
        agent = await self.runner.workshop.storage.read(
            lambda conn: agent_store.get(conn, shadow_of(judged.agent_id))
        )
        cli_type = self.runner.workshop.cli_types.get(judged.cli_type)
        own = {**(cli_type.env if cli_type else {}), **(agent.env if agent else {})}
        return list(secrets_of(self.runner.workshop.environment, own))


def _sides(conn: Connection, pending: Comparison) -> tuple[Execution | None, Execution | None]:
    return (
        execution_store.get(conn, pending.execution_id),
        execution_store.get(conn, str(pending.shadow_execution_id)),
    )
