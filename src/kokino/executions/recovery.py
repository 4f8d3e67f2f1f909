"""Take over what an earlier broker left behind, before anything new is started."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog

from kokino.agents import store as agent_store
from kokino.errors import ProcessError
from kokino.executions import store
from kokino.executions.lifecycle import unclaim
from kokino.executions.model import Execution, State
from kokino.executions.output.spool import Spool
from kokino.executions.queue import store as queue_store
from kokino.executions.runner import Runner
from kokino.process.client import Warden
from kokino.telemetry.model import SHADOW

log = structlog.get_logger(__name__)


async def recover(runner: Runner) -> None:
    """Adopt the executions whose trees the warden has held, and write the ends of those that are gone.

    Processes that nobody waits for any more, a playbook's steps, are ended; files of theirs are deleted. An
    execution that was claimed but never started goes back to the head of its queue. What waits has its whole
    queue timeout from now on: nobody knows for how long there was no broker that could have started it.
    """
    workshop = runner.workshop
    running = await workshop.storage.read(lambda conn: store.in_state(conn, State.RUNNING))
    await _end_strangers(workshop.warden, {execution.execution_id for execution in running})
    await asyncio.to_thread(_sweep, workshop.spool, {execution.execution_id for execution in running})
    agents = {agent.agent_id: agent for agent in await workshop.storage.read(agent_store.everyone)}
    for execution in running:
        # What runs beside another is not begun a second time: its snapshot is of an instant that is past.
        is_wanted = execution.cancel_requested_at is None and execution.label != SHADOW
        if is_wanted and _was_never_started(execution, workshop.warden, workshop.spool):
            await workshop.storage.write(partial(unclaim, execution=execution))
        else:
            log.info("taking over an execution of an earlier broker", execution=execution.execution_id)
            runner.adopt(execution, agents.get(execution.agent_id))
    now = workshop.clock.now()
    await workshop.storage.write(lambda conn: queue_store.renew_waits(conn, now))


async def _end_strangers(warden: Warden, known: Collection[str]) -> None:
    strangers = [name for name in warden.running if name not in known]
    for name in strangers:
        log.warning("ending what an earlier broker left running", process=name)
        await warden.stop(name, grace=timedelta(seconds=1))
    for name in strangers:
        with suppress(ProcessError):
            await warden.ended(name)


def _sweep(spool: Path, known: Collection[str]) -> None:
    """Delete what is left of processes that are over: prompts, output, a step's token."""
    if spool.is_dir():
        for folder in spool.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)


def _was_never_started(execution: Execution, warden: Warden, spool: Path) -> bool:
    """The broker died between its claim and its start: no process, no output, no exit."""
    files = Spool(spool / execution.execution_id)
    is_known = execution.execution_id in warden.running or execution.pid is not None
    return not is_known and not files.stdout.exists() and not files.exit.exists()
