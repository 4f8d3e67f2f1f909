"""Wait for an execution on behalf of a caller, as long as the caller does."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from kokino.executions.model import Execution
from kokino.executions.service import Executions, Restarting
from kokino.tasks import Tasks


async def ended_for(request: Request, executions: Executions, execution_id: str) -> Execution | None:
    """The execution, once it has ended; None when the caller has gone away before.

    Raises `Restarting` when the next broker will see its end.
    """
    with executions.attendance.waits(execution_id):
        async with Tasks() as tasks:
            ended = tasks.start(_end(executions, execution_id), name=f"a caller waits for {execution_id}")
            left = tasks.start(_left(request), name=f"the caller of {execution_id} is there")
            await asyncio.wait({ended, left}, return_when=asyncio.FIRST_COMPLETED)
            found: Execution | Restarting | None = ended.result() if ended.done() else None
    if isinstance(found, Restarting):
        raise found
    return found


async def _end(executions: Executions, execution_id: str) -> Execution | Restarting:
    """Its end, or that another broker will see it: both are answers, not failures of this task."""
    try:
        return await executions.ended(execution_id)
    except Restarting as restarting:
        return restarting


async def _left(request: Request) -> None:
    """Return when the connection is closed; the body has been read, so nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
