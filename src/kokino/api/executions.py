"""``/executions`` and ``/agents/{id}/execute``: run prompts, follow them, cancel them."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Header, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import Field

from kokino.api import sse
from kokino.api.problems import problem
from kokino.api.routing import router_of
from kokino.api.services import Given
from kokino.api.shapes import Body, Cursor, Page, Shape, Time, WaitingShape, megabytes
from kokino.api.waiting import ended_for
from kokino.clock import MILLISECOND, iso
from kokino.errors import Fault, Invalid
from kokino.executions import store
from kokino.executions.model import Execution, Record, State
from kokino.executions.queue.idempotency import key_of
from kokino.executions.service import Restarting

router = router_of("executions")

#: The status that a failed execution answers a waiting caller with.
STATUS = {
    State.FAILED: 502,
    State.LOST: 502,
    State.TIMEOUT: 504,
    State.CANCELLED: 409,
    State.REFUSED: 503,
}
#: Of a prompt that may have 8 MiB, as many characters are shown as of a record.
PROMPT_SHOWN = 64 * 1024
#: Ours in ``Last-Event-ID``: no other digits than ASCII's, and within what a database counts to.
RECORD_NUMBER = re.compile(r"[0-9]{1,18}")


class ExecuteBody(Body):
    """A prompt to run."""

    prompt: str
    #: Wall deadline in milliseconds; the agent's own where it is left out.
    timeout_ms: Annotated[int, Field(gt=0, le=7 * 24 * 3_600_000)] | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    #: Cancel it when the connection closes before its end and nobody else waits for it.
    cancel_on_disconnect: bool = False

    @property
    def timeout(self) -> timedelta | None:
        """The wall deadline; None for the agent's own."""
        return None if self.timeout_ms is None else timedelta(milliseconds=self.timeout_ms)


class ExecutionShape(Shape):
    """One execution."""

    execution_id: str
    agent_id: str
    cli_type: str
    account: str
    mode: str
    state: str
    kind: str | None
    error: str | None
    label: str | None
    moved_from: str | None
    conversation_id: str | None
    session_id: str | None
    exit_code: int | None
    signal: int | None
    content: str | None
    queued_at: Time
    started_at: Time | None
    ended_at: Time | None
    duration_ms: int | None
    #: Processes that were started for it: more than one after a replaced session or a retry.
    attempts: int
    usage: dict[str, int] | None
    cost_usd: float | None
    cli_version: str | None
    peak_memory_mb: float | None = Field(alias="peakMemoryMB")
    cpu_ms: int | None
    #: What it changed in the git repository that it ran in.
    changes: dict[str, Any] | None
    #: While it runs: what its CLI waits for. It is answered by ``POST /executions/{id}/permission``.
    waiting: WaitingShape | None
    metadata: dict[str, Any]


class WholeExecution(ExecutionShape):
    """One execution, with what it was asked."""

    #: The prompt as it was accepted, its first 64 k characters.
    prompt: str
    #: How many characters all of it has.
    prompt_length: int


class PermissionBody(Body):
    """The answer to a CLI that asks for a permission."""

    #: One of the options that ``waiting`` lists.
    option_id: str
    #: ``waiting.id`` of the request that is meant: another one is then not answered by mistake.
    request_id: str | None = None


class Answer(Shape):
    """What a waiting caller gets from an execution that succeeded."""

    execution_id: str
    conversation_id: str | None
    content: str
    success: bool
    duration_ms: int
    metadata: dict[str, Any]


class Cancelled(Shape):
    """What cancelling did. Cancelling twice is as good as once."""

    agent_id: str
    status: str
    execution: ExecutionShape | None


@router.post("/agents/{agent_id}/execute", response_model=Answer)
async def execute(
    agent_id: str,
    body: ExecuteBody,
    request: Request,
    given: Given,
    *,
    prefer: Annotated[str, Header()] = "",
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """Run a prompt and wait for its end; with ``Prefer: respond-async`` only for its acceptance.

    A request that comes again under its ``Idempotency-Key`` is answered with the execution of the first.
    A prompt that is refused at once is answered so in either case.
    """
    key = None if idempotency_key is None else key_of(idempotency_key, body.model_dump(mode="json"))
    accepted = await given.executions.submit_once(
        agent_id, body.prompt, key, timeout=body.timeout, metadata=body.metadata
    )
    execution_id = accepted.execution.execution_id
    is_refused = accepted.execution.state.is_end and not accepted.is_replay
    if "respond-async" in prefer and not is_refused:
        answered = _accepted(accepted.execution)
    else:
        answered = await _waited(execution_id, body, request, given)
    if accepted.is_replay:
        answered.headers["Idempotent-Replayed"] = "true"
    return answered


@router.post("/agents/{agent_id}/execute/cancel")
async def cancel_running(agent_id: str, given: Given) -> Cancelled:
    """Cancel what the agent runs; returns when its processes are gone."""
    cancelled = await given.executions.cancel_running(agent_id)
    status = "nothing_running" if cancelled is None else cancelled.state.value
    return Cancelled(agent_id=agent_id, status=status, execution=shape(cancelled) if cancelled else None)


@router.get("/executions")
async def page(
    given: Given,
    agent: str | None = None,
    state: State | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Cursor | None = None,
) -> Page[ExecutionShape]:
    """Executions, the newest first."""
    found = await given.storage.read(
        lambda conn: store.page(conn, agent_id=agent, state=state, before=cursor, limit=limit + 1)
    )
    more = str(found[limit - 1].number) if len(found) > limit else None
    return Page(items=[shape(execution) for execution in found[:limit]], next_cursor=more)


@router.get("/executions/{execution_id}")
async def one(execution_id: str, given: Given) -> WholeExecution:
    """One execution, with its prompt: its first 64 k characters, and in `promptLength` how many it has."""
    found = await given.executions.get(execution_id)
    return WholeExecution(
        **shape(found).model_dump(), prompt=found.prompt[:PROMPT_SHOWN], prompt_length=len(found.prompt)
    )


@router.post("/executions/{execution_id}/cancel")
async def cancel(execution_id: str, given: Given) -> ExecutionShape:
    """Cancel one execution, queued or running; one that has ended is answered as it is."""
    return shape(await given.executions.cancel(execution_id))


@router.post("/executions/{execution_id}/permission")
async def permission(execution_id: str, body: PermissionBody, given: Given) -> ExecutionShape:
    """Answer the permission that its CLI waits for; 409 where it waits for none, or not for that one."""
    return shape(await given.executions.answer(execution_id, body.option_id, body.request_id))


@router.get("/executions/{execution_id}/diff", response_class=PlainTextResponse)
async def diff(execution_id: str, given: Given, *, reverse: bool = False) -> Response:
    """What it changed, as a patch for ``git apply``; ``reverse`` gives the one that undoes it.

    Over 64 MiB it is 413, with the git command that tells it.
    """
    patch = await given.executions.patch(execution_id, reverse=reverse)
    return Response(patch, media_type="text/x-diff")


@router.get("/executions/{execution_id}/events", response_class=StreamingResponse)
async def events(
    execution_id: str,
    given: Given,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Its records as they are written, as server-sent events; ``Last-Event-ID`` goes on after a break."""
    await given.executions.get(execution_id)
    after = _number(last_event_id)
    return sse.response(_stream(execution_id, after, given))


async def _stream(execution_id: str, after: int, given: Given) -> AsyncIterator[bytes]:
    async for found in given.executions.records(execution_id, after=after):
        if isinstance(found, Execution):
            yield sse.event("end", shape(found).model_dump(mode="json", by_alias=True))
        elif found is None:
            yield sse.HEARTBEAT
        else:
            yield sse.event("record", _record(found), number=found.number)


def _accepted(execution: Execution) -> Response:
    """The answer to a caller who does not wait."""
    location = f"/executions/{execution.execution_id}"
    shown = shape(execution).model_dump(mode="json", by_alias=True)
    return JSONResponse(shown, 202, {"Location": location, "Preference-Applied": "respond-async"})


async def _waited(execution_id: str, body: ExecuteBody, request: Request, given: Given) -> Response:
    """The answer to a caller who waits for the end."""
    try:
        ended = await ended_for(request, given.executions, execution_id)
    except Restarting as restarting:
        headers = {"Location": f"/executions/{execution_id}", "Retry-After": "1"}
        return problem(
            restarting.status,
            restarting.code,
            restarting.message,
            headers=headers,
            executionId=execution_id,
        )
    return await _left_alone(execution_id, body, given) if ended is None else await _answered(ended, given)


async def _left_alone(execution_id: str, body: ExecuteBody, given: Given) -> Response:
    """What a caller who went away leaves behind: an execution that goes on, for it was accepted.

    The answer reaches nobody.
    """
    if body.cancel_on_disconnect and not given.executions.attendance.is_awaited(execution_id):
        return await _answered(await given.executions.cancel(execution_id), given)
    return _accepted(await given.executions.get(execution_id))


async def _answered(ended: Execution, given: Given) -> Response:
    """The answer to the caller who waited for its end."""
    return answer(ended, retry_after=await given.executions.retry_after(ended))


def answer(execution: Execution, *, retry_after: timedelta | None = None) -> Response:
    """The end of an execution as the answer to the one who waited for it, and when another try may help."""
    shown = shape(execution).model_dump(mode="json", by_alias=True)
    if execution.state is not State.COMPLETED:
        status = 409 if execution.kind == "lock_timeout" else STATUS[execution.state]
        retry = {} if retry_after is None else {"Retry-After": str(math.ceil(retry_after.total_seconds()))}
        said = execution.error or execution.state.value
        return problem(status, execution.kind or execution.state.value, said, headers=retry, execution=shown)
    good = Answer(
        execution_id=execution.execution_id,
        conversation_id=execution.conversation_id,
        content=execution.content or "",
        success=True,
        duration_ms=_milliseconds(execution.duration) or 0,
        metadata={**execution.metadata, "cliType": execution.cli_type, "sessionId": execution.session_id},
    )
    return JSONResponse(good.model_dump(mode="json", by_alias=True))


def shape(execution: Execution) -> ExecutionShape:
    """An execution as the API shows it."""
    return ExecutionShape(
        execution_id=execution.execution_id,
        agent_id=execution.agent_id,
        cli_type=execution.cli_type,
        account=execution.account,
        mode=execution.mode,
        state=execution.state.value,
        kind=execution.kind.value if execution.kind else None,
        error=execution.error,
        label=execution.label,
        moved_from=execution.moved_from,
        conversation_id=execution.conversation_id,
        session_id=execution.session_id,
        exit_code=execution.exit_code,
        signal=execution.exit_signal,
        content=execution.content,
        queued_at=execution.queued_at,
        started_at=execution.started_at,
        ended_at=execution.ended_at,
        duration_ms=_milliseconds(execution.duration),
        attempts=execution.attempts,
        usage=dict(execution.usage) if execution.usage is not None else None,
        cost_usd=execution.cost_usd,
        cli_version=execution.cli_version,
        peak_memory_mb=megabytes(execution.peak_memory_bytes),
        cpu_ms=execution.cpu_ms,
        changes=dict(execution.changes) if execution.changes is not None else None,
        waiting=None if execution.waiting is None else WaitingShape.model_validate(execution.waiting),
        metadata=dict(execution.metadata),
    )


def _record(record: Record) -> dict[str, Any]:
    return {
        "number": record.number,
        "stream": record.stream,
        "body": record.body,
        "size": record.size,
        "writtenAt": iso(record.written_at),
    }


def _number(last_event_id: str | None) -> int:
    if last_event_id is None:
        return 0
    if not RECORD_NUMBER.fullmatch(last_event_id):
        raise Invalid(
            "Last-Event-ID must be the number of a record",
            [Fault(field="Last-Event-ID", message=f"{last_event_id[:40]!r} is no number")],
        )
    return int(last_event_id)


def _milliseconds(length: timedelta | None) -> int | None:
    return None if length is None else length // MILLISECOND
