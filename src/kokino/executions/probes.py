"""Ask what is disabled, now and then, whether it works again: a CLI type, or one agent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Connection

from kokino.agents import fallbacks, session_store, traffic_store
from kokino.agents import store as agent_store
from kokino.agents.askers import asking, named
from kokino.agents.breaker_fallback import BREAKER
from kokino.agents.model import Agent, CliType, Fallback, Limits, Scope, Source, account_of
from kokino.barrier import Barrier
from kokino.clock import Clock
from kokino.errors import Conflict, Invalid, NotFound
from kokino.executions import store
from kokino.executions.model import Execution, State
from kokino.executions.service import Executions
from kokino.storage import Storage
from kokino.telemetry.model import PROBE

log = structlog.get_logger(__name__)

#: The distance between two probes while they succeed, and in the first ten minutes; where none is configured.
INTERVAL = timedelta(seconds=60)
#: The longest distance: somebody has to renew that login by hand, and each question costs a little.
LONGEST = timedelta(minutes=15)
#: Between probes of what has answered often enough and is not switched back.
SETTLED = timedelta(hours=1)
#: Good probes in a row after which it may be used again, where no number is configured: two can be luck.
WANTED = 3
#: Says little, costs little, and any model that works can do it.
PROMPT = "Reply with the single word OK."
#: A login that works answers long before.
TIMEOUT = timedelta(seconds=90)


class Probes:
    """Runs labelled probe executions on all that is disabled, and counts the good ones in a row.

    They run headless, on the way that is disabled. What a circuit breaker has disabled is switched back here;
    all else by whoever disabled it, a playbook or a person.
    """

    name = "probes"

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        executions: Executions,
        cli_types: Mapping[str, CliType],
        *,
        folder: Path,
        interval: timedelta = INTERVAL,
        wanted: int = WANTED,
    ) -> None:
        #: Good ones in a row after which what was disabled may be used again.
        self.wanted = wanted
        self._storage = storage
        self._clock = clock
        self._executions = executions
        self._cli_types = cli_types
        self._folder = folder
        self._interval = interval

    async def run(self, now: datetime) -> datetime | None:
        """Judge the probes that ended, start those that are due; when the next one is.

        Raises `Faults` once each had its turn.
        """
        with Barrier() as barrier:
            await barrier.each(await self._known(), partial(self._look_at, now=now), name=_what)
        left = await self._known()
        return min((f.probe_due_at for f in left if f.probe_due_at is not None), default=None)

    async def _look_at(self, fallback: Fallback, now: datetime) -> None:
        if fallback.probe_execution_id is not None:
            await self._judge(fallback, now)
        elif fallback.probe_due_at is not None and fallback.probe_due_at <= now:
            await self._start(fallback)

    async def probe(self, cli_type: str) -> Execution:
        """Start a probe on a disabled CLI type.

        Raises `NotFound` for an unknown one, `Invalid` for one that is enabled, `Conflict` while one runs.
        """
        if cli_type not in self._cli_types:
            raise NotFound(f"there is no CLI type {cli_type!r}; known: {', '.join(sorted(self._cli_types))}")
        fallback = (await self._storage.read(traffic_store.disabled)).get(cli_type)
        if fallback is None:
            raise Invalid(f"CLI type {cli_type!r} is enabled: its own executions tell how it is")
        return await self._start(fallback)

    async def probe_agent(self, agent_id: str) -> Execution:
        """Start a probe of an agent that is sent elsewhere; raises as `probe` does."""
        fallback = (await self._storage.read(traffic_store.forced)).get(agent_id)
        if fallback is None:
            raise Invalid(f"agent {agent_id!r} is not sent elsewhere: its own executions tell how it is")
        return await self._start(fallback)

    async def ask(self, cli_type: str) -> Execution:
        """Have a CLI type answer the prompt of a probe that counts for nobody's way back; how that ended."""
        cwd = await self._own_folder(cli_type)
        accepted = await self._storage.write(lambda conn: self._accept(conn, cli_type, None, cwd))
        self._executions.dispatch.wake()
        return await self._executions.ended(accepted.execution_id)

    async def _known(self) -> list[Fallback]:
        """All but those of CLI types that the configuration names no more: there is nobody to ask."""
        found = await self._storage.read(traffic_store.everything)
        return [fallback for fallback in found if fallback.cli_type in self._cli_types]

    async def _start(self, fallback: Fallback) -> Execution:
        if fallback.cli_type not in self._cli_types:
            gone = f"there is no CLI type {fallback.cli_type!r} any more"
            raise Invalid(f"{_what(fallback)} cannot be asked: {gone}; configure it again")
        cwd = await self._own_folder(named(fallback.cli_type, fallback.agent_id))
        started = await self._storage.write(lambda conn: self._begin(conn, fallback, cwd))
        self._executions.dispatch.wake()
        return started

    async def _own_folder(self, name: str) -> Path:
        cwd = self._folder / name
        await asyncio.to_thread(cwd.mkdir, parents=True, exist_ok=True, mode=0o700)
        return cwd

    def _begin(self, conn: Connection, fallback: Fallback, cwd: Path) -> Execution:
        """Accept the probe and note it in one transaction: a crash between the two would run another."""
        present = _present(conn, fallback)
        if present is None:
            raise Invalid(f"{_what(fallback)} is enabled again: its own executions tell how it is")
        if present.probe_execution_id is not None:
            raise Conflict(f"a probe of {_what(fallback)} runs already: {present.probe_execution_id}")
        accepted = self._accept(conn, fallback.cli_type, fallback.agent_id, cwd)
        traffic_store.note_probe(conn, fallback, accepted.execution_id)
        return accepted

    def _accept(self, conn: Connection, cli_type: str, agent_id: str | None, cwd: Path) -> Execution:
        agent = self._agent(conn, cli_type, agent_id, cwd)
        agent_store.put(conn, agent)
        # Each probe asks a fresh session: an old one may work where a login fails.
        session_store.forget(conn, agent.agent_id)
        return store.accept(conn, self._executions.new(agent, PROMPT, timeout=TIMEOUT, label=PROBE))

    async def _judge(self, fallback: Fallback, now: datetime) -> None:
        execution_id = str(fallback.probe_execution_id)
        execution = await self._storage.read(lambda conn: store.get(conn, execution_id))
        if execution is not None and not execution.state.is_end:
            return
        good = fallback.probes_good + 1 if execution and execution.state is State.COMPLETED else 0
        outcome = _outcome(execution)
        due_at = now + pause(fallback, now, good=good, wanted=self.wanted, interval=self._interval)

        def write(conn: Connection) -> bool:
            traffic_store.judge_probe(conn, execution_id, good=good, outcome=outcome, at=now, due_at=due_at)
            return good >= self.wanted and self._switch_back(conn, fallback, now)

        is_back = await self._storage.write(write)
        log.info("probe ended", of=_what(fallback), outcome=outcome, good=good, switched_back=is_back)
        if is_back:
            self._executions.dispatch.wake()

    def _switch_back(self, conn: Connection, fallback: Fallback, now: datetime) -> bool:
        """Undo what a circuit breaker did; what somebody else did is theirs to undo."""
        present = _present(conn, fallback)
        agent = agent_store.get(conn, fallback.agent_id) if fallback.agent_id else None
        if agent is None or present is None or not present.is_automatic:
            return False
        reason = f"{self.wanted} probes in a row succeeded"
        return fallbacks.clear(conn, agent, reason=reason, by=BREAKER, now=now)

    def _agent(self, conn: Connection, cli_type: str, agent_id: str | None, cwd: Path) -> Agent:
        """The broker's own agent that asks: like that agent, or one of them; in a folder of its own."""
        own = agent_store.get(conn, agent_id) if agent_id else None
        like = own or _example(conn, cli_type)
        env = like.env if like else {}
        return Agent(
            agent_id=asking(named(cli_type, agent_id)),
            cli_type=cli_type,
            cwd=cwd,
            model=like.model if like else None,
            env=env,
            flags=like.flags if like else (),
            limits=Limits(queue=1),
            account=like.account if like else account_of(self._cli_types[cli_type], env),
            source=Source.BROKER,
            registered_at=self._clock.now(),
        )


def _what(fallback: Fallback) -> str:
    if fallback.agent_id is None:
        return f"CLI type {fallback.cli_type!r}"
    return f"agent {fallback.agent_id!r}"


def _present(conn: Connection, fallback: Fallback) -> Fallback | None:
    """What is known of it now; None where it was undone meanwhile."""
    if fallback.agent_id is None:
        return traffic_store.disabled(conn).get(fallback.cli_type)
    return traffic_store.forced(conn).get(fallback.agent_id)


def pause(
    fallback: Fallback, now: datetime, *, good: int, wanted: int = WANTED, interval: timedelta = INTERVAL
) -> timedelta:
    """How long to wait for the next probe: the longer it has been out of use, the less often it is asked.

    What has answered often enough waits for somebody to switch back; a probe is a prompt that is paid for, so
    it is asked hourly from then on, lest what is told of it gets old.
    """
    if good >= wanted:
        return max(interval, SETTLED)
    if good:
        return interval
    return min(max((now - fallback.since) / 10, interval), max(interval, LONGEST))


def _example(conn: Connection, cli_type: str) -> Agent | None:
    """A user's agent of that CLI type, one whose account is parked before all others: that is in doubt."""
    parked = {pause.scope_id for pause in traffic_store.paused(conn) if pause.scope is Scope.ACCOUNT}
    own = [agent for agent in agent_store.everyone(conn) if agent.cli_type == cli_type]
    return min(own, key=lambda agent: agent.account not in parked, default=None)


def _outcome(execution: Execution | None) -> str:
    if execution is None:
        return "lost"
    return execution.kind.value if execution.kind else execution.state.value
