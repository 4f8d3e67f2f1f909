"""Wait for an execution on behalf of a caller, as long as the caller does."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from kokino.executions.model import Execution
from kokino.executions.service import Executions
from kokino.tasks import Tasks


async def ended_for(request: Request, executions: Executions, execution_id: str) -> Execution | None:
    """The execution, once it has ended; None when the caller has gone away before."""
    with executions.attendance.waits(execution_id):
        async with Tasks() as tasks:
            ended = tasks.start(executions.ended(execution_id), name=f"a caller waits for {execution_id}")
            left = tasks.start(_left(request), name=f"the caller of {execution_id} is there")
            await asyncio.wait({ended, left}, return_when=asyncio.FIRST_COMPLETED)
            return ended.result() if ended.done() else None


async def _left(request: Request) -> None:
    """Return when the connection is closed; the body has been read, so nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
