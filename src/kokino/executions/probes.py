"""Ask a disabled CLI type, now and then, whether it works again."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy import Connection

from kokino.agents import session_store, traffic_store
from kokino.agents import store as agent_store
from kokino.agents.model import Agent, CliType, Fallback, Limits, Source, account_of
from kokino.errors import Invalid, KokinoError, NotFound
from kokino.executions.model import PROBE, Execution, State
from kokino.executions.service import Executions
from kokino.storage import Storage

log = structlog.get_logger(__name__)

#: The first probe comes soon after a CLI type was disabled, the next ones at this distance.
INTERVAL = timedelta(seconds=60)
#: Good probes in a row after which a CLI type may be enabled again: two can be luck.
WANTED = 3
#: Says little, costs little, and any model that works can do it.
PROMPT = "Reply with the single word OK."
#: A login that works answers long before.
TIMEOUT = timedelta(seconds=90)


class Probes:
    """Runs a labelled probe execution on each disabled CLI type, and counts the good ones in a row."""

    name = "probes"

    def __init__(
        self, storage: Storage, executions: Executions, cli_types: Mapping[str, CliType], *, folder: Path
    ) -> None:
        self._storage = storage
        self._executions = executions
        self._cli_types = cli_types
        self._folder = folder

    async def run(self, now: datetime) -> datetime | None:
        """Judge the probes that ended, start those that are due; when the next one is."""
        for fallback in (await self._storage.read(traffic_store.disabled)).values():
            if fallback.probe_execution_id is not None:
                await self._judge(fallback, now)
            elif fallback.probe_due_at is not None and fallback.probe_due_at <= now:
                await self.probe(fallback.cli_type)
        left = await self._storage.read(traffic_store.disabled)
        return min((f.probe_due_at for f in left.values() if f.probe_due_at is not None), default=None)

    async def probe(self, cli_type: str) -> Execution:
        """Start a probe on a disabled CLI type. `NotFound` for an unknown one, `Invalid` for an enabled one."""
        if cli_type not in self._cli_types:
            raise NotFound(f"there is no CLI type {cli_type!r}; known: {', '.join(sorted(self._cli_types))}")
        fallback = (await self._storage.read(traffic_store.disabled)).get(cli_type)
        if fallback is None:
            raise Invalid(
                f"CLI type {cli_type!r} is enabled: its own executions tell how it is, no probe is needed"
            )
        agent_id = await self._storage.write(lambda conn: self._register(conn, cli_type))
        execution = await self._executions.submit(agent_id, PROMPT, timeout=TIMEOUT, label=PROBE)
        noted = replace(fallback, probe_due_at=None, probe_execution_id=execution.execution_id)
        await self._storage.write(lambda conn: _update(conn, noted))
        return execution

    async def _judge(self, fallback: Fallback, now: datetime) -> None:
        execution: Execution | None = None
        with contextlib.suppress(KokinoError):
            execution = await self._executions.get(str(fallback.probe_execution_id))
        if execution is not None and not execution.state.is_end:
            return
        is_good = execution is not None and execution.state is State.COMPLETED
        judged = replace(
            fallback,
            probe_execution_id=None,
            probe_due_at=now + INTERVAL,
            probes_good=fallback.probes_good + 1 if is_good else 0,
            probe_last_at=now,
            probe_last_outcome=_outcome(execution),
        )
        await self._storage.write(lambda conn: _update(conn, judged))
        log.info(
            "probe ended",
            cli_type=fallback.cli_type,
            outcome=judged.probe_last_outcome,
            good=judged.probes_good,
        )

    def _register(self, conn: Connection, cli_type: str) -> str:
        """The broker's own agent for this CLI type: like a user's agent, in a folder of its own."""
        model = next((agent for agent in agent_store.everyone(conn) if agent.cli_type == cli_type), None)
        agent_id = f"probe.{cli_type}"[:128]
        cwd = self._folder / cli_type
        cwd.mkdir(parents=True, exist_ok=True, mode=0o700)
        agent_store.put(conn, self._agent(agent_id, cli_type, cwd, model))
        session_store.forget(
            conn, agent_id
        )  # each probe asks a fresh session: an old one may work where a login fails
        return agent_id

    def _agent(self, agent_id: str, cli_type: str, cwd: Path, like: Agent | None) -> Agent:
        env = like.env if like else {}
        return Agent(
            agent_id=agent_id,
            cli_type=cli_type,
            cwd=cwd,
            model=like.model if like else None,
            env=env,
            flags=like.flags if like else (),
            limits=Limits(queue=1),
            account=like.account if like else account_of(self._cli_types[cli_type], env),
            source=Source.BROKER,
            registered_at=self._executions.clock.now(),
        )


def _update(conn: Connection, fallback: Fallback) -> None:
    """Keep what was found, unless the CLI type was enabled meanwhile."""
    if fallback.cli_type in traffic_store.disabled(conn):
        traffic_store.disable(conn, fallback)


def _outcome(execution: Execution | None) -> str:
    if execution is None:
        return "lost"
    return execution.kind.value if execution.kind else execution.state.value
