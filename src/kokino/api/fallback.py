"""``/api/fallback`` and ``/api/pause``: take a CLI type out of use, or keep executions waiting."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import Connection

from kokino.agents import traffic_store
from kokino.agents.model import Fallback, Pause, Scope
from kokino.agents.names import CliTypeName
from kokino.api.executions import ExecutionShape
from kokino.api.executions import shape as execution_shape
from kokino.api.guard import check_admin
from kokino.api.services import Caller, Given
from kokino.api.shapes import Body, Shape, Time, utc
from kokino.errors import Fault, Invalid
from kokino.executions.probes import WANTED

router = APIRouter(prefix="/api", tags=["fallback"])

Reason = Annotated[str, Field(min_length=1, max_length=500)]


class DisableBody(Body):
    """A CLI type to take out of use."""

    cli_type: CliTypeName
    reason: Reason
    #: The CLI type that its agents are moved to, unless they name a fallback of their own.
    target: CliTypeName | None = None


class EnableBody(Body):
    """A CLI type to use again."""

    cli_type: CliTypeName
    reason: Reason = "enabled by hand"


class ProbeBody(Body):
    """A disabled CLI type to ask."""

    cli_type: CliTypeName


class ResumeBody(Body):
    """Whose executions shall run again."""

    scope: Scope
    id: str = ""
    reason: Reason = "by hand"


class PauseBody(ResumeBody):
    """Whose executions shall wait."""

    #: When it lifts itself, as ISO 8601; where it is left out, somebody has to resume it.
    until: datetime | None = None


class ProbesShape(Shape):
    """How the probes of a disabled CLI type have gone."""

    wanted: int
    good: int
    due_at: Time | None
    last_at: Time | None
    last_outcome: str | None


class DisabledShape(Shape):
    """A disabled CLI type."""

    cli: str
    disabled: bool = True
    reason: str
    since: Time
    target: str | None
    set_by: str
    probes: ProbesShape


class ForcedShape(Shape):
    """An agent that is sent elsewhere by name."""

    agent_id: str
    target: str
    reason: str
    since: Time


class PauseShape(Shape):
    """A pause."""

    scope: str
    id: str
    reason: str
    since: Time
    set_by: str
    #: When it lifts itself; null until somebody resumes it.
    ends_at: Time | None


class FallbackStatus(Shape):
    """All that is out of use or waits."""

    disabled_clis: list[DisabledShape] = Field(alias="disabledCLIs")
    forced_fallbacks: list[ForcedShape]
    pauses: list[PauseShape]


@router.get("/fallback/status")
async def status(given: Given) -> FallbackStatus:
    """What is disabled and what is paused."""

    def read(conn: Connection) -> FallbackStatus:
        return FallbackStatus(
            disabled_clis=[_disabled(fallback) for fallback in traffic_store.disabled(conn).values()],
            forced_fallbacks=[],
            pauses=[_pause(pause) for pause in traffic_store.paused(conn)],
        )

    return await given.storage.read(read)


@router.post("/fallback/cli/disable")
async def disable(body: DisableBody, given: Given, caller: Caller) -> FallbackStatus:
    """Run the CLI type's agents elsewhere until it is enabled.

    To send agents that ask to a CLI that asks nobody needs the scope admin.
    """
    await given.agents.disable(
        body.cli_type,
        reason=body.reason,
        target=body.target,
        by=caller.subject,
        vouch=partial(check_admin, caller),
    )
    return await status(given)


@router.post("/fallback/cli/enable")
async def enable(body: EnableBody, given: Given, caller: Caller) -> FallbackStatus:
    """Use the CLI type again; also when it was not disabled."""
    await given.agents.enable(body.cli_type, reason=body.reason, by=caller.subject)
    return await status(given)


@router.post("/fallback/cli/probe", status_code=202)
async def probe(body: ProbeBody, given: Given) -> ExecutionShape:
    """Start a labelled execution that asks whether a disabled CLI type works again."""
    return execution_shape(await given.probes.probe(body.cli_type))


@router.post("/pause")
async def pause(body: PauseBody, given: Given, caller: Caller) -> FallbackStatus:
    """Keep the executions of everything, an account, an agent or a pool in their queues.

    Up to the instant ``until``, or until somebody resumes them.
    """
    _check(body)
    until = None if body.until is None else utc(body.until)
    await given.agents.pause(body.scope, body.id, reason=body.reason, by=caller.subject, until=until)
    return await status(given)


@router.post("/resume")
async def resume(body: ResumeBody, given: Given, caller: Caller) -> FallbackStatus:
    """Let them run again; also when nothing was paused."""
    _check(body)
    await given.agents.resume(body.scope, body.id, reason=body.reason, by=caller.subject)
    return await status(given)


def _check(body: ResumeBody) -> None:
    if (body.scope is Scope.ALL) == bool(body.id):
        message = "must be left out for the scope all" if body.id else f"must name the {body.scope.value}"
        raise Invalid(f"id: {message}", [Fault(field="id", message=message)])


def _disabled(fallback: Fallback) -> DisabledShape:
    return DisabledShape(
        cli=fallback.cli_type,
        reason=fallback.reason,
        since=fallback.since,
        target=fallback.target,
        set_by=fallback.set_by,
        probes=ProbesShape(
            wanted=WANTED,
            good=fallback.probes_good,
            due_at=fallback.probe_due_at,
            last_at=fallback.probe_last_at,
            last_outcome=fallback.probe_last_outcome,
        ),
    )


def _pause(pause: Pause) -> PauseShape:
    return PauseShape(
        scope=pause.scope.value,
        id=pause.scope_id,
        reason=pause.reason,
        since=pause.since,
        set_by=pause.set_by,
        ends_at=pause.ends_at,
    )
