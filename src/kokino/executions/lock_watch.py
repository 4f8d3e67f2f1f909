"""Tell of a lock that is held too long, at the instant at which it is."""

from __future__ import annotations

import asyncio

import structlog

from kokino.errors import StorageError
from kokino.executions import notices
from kokino.executions.conductor import Conductor
from kokino.executions.overdue import holding
from kokino.executions.overdue.holding import Overdue
from kokino.tasks import AFTER_FAILURE

log = structlog.get_logger(__name__)


async def keep(conductor: Conductor) -> None:
    """Return when it was told that the execution is overdue; to be cancelled once the lock is free.

    It runs beside what follows the CLI: a lock whose follower hangs is told of too.
    """
    clock = conductor.workshop.clock
    # What an earlier broker recorded of it must have been read: it would look silent since its start.
    await conductor.is_known.wait()
    while (found := holding.decide(conductor.holding, clock.now())) is None:
        await clock.sleep_until(holding.next_look(conductor.holding, clock.now()))
    await _tell(conductor, found)


async def _tell(conductor: Conductor, found: Overdue) -> None:
    workshop = conductor.workshop
    execution, now = conductor.execution, workshop.clock.now()
    while True:
        try:
            is_news = await workshop.storage.write(
                lambda conn: notices.tell_overdue(conn, execution, found, now=now)
            )
        except StorageError as error:
            log.warning("a lock timeout cannot be written; trying again", reason=error.message)
            await asyncio.sleep(AFTER_FAILURE)
        else:
            break
    if is_news:
        workshop.on_event()
        log.warning(
            "lock timeout", agent=execution.agent_id, execution=execution.execution_id, reason=found.message
        )
