"""``/api/pause`` and ``/api/resume``: keep executions waiting."""

from __future__ import annotations

from datetime import datetime

from kokino.agents.model import Scope
from kokino.api.fallback import Reason, status
from kokino.api.fallback_shapes import FallbackStatus
from kokino.api.routing import router_of
from kokino.api.services import Caller, Given
from kokino.api.shapes import Body, utc
from kokino.errors import Fault, Invalid

router = router_of("fallback", prefix="/api")


class ScopeBody(Body):
    """Whose executions are meant."""

    scope: Scope
    id: str = ""
    reason: Reason = "by hand"


class ResumeBody(ScopeBody):
    """Whose executions shall run again."""

    #: Only where it is this one that has paused them: what somebody else has paused since stays so.
    set_by: str | None = None


class PauseBody(ScopeBody):
    """Whose executions shall wait."""

    #: When it lifts itself, as ISO 8601; where it is left out, somebody has to resume it.
    until: datetime | None = None


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
    """Let them run again; also when nothing was paused. With ``setBy``, only what that one paused."""
    _check(body)
    await given.agents.resume(body.scope, body.id, reason=body.reason, by=caller.subject, set_by=body.set_by)
    return await status(given)


def _check(body: ScopeBody) -> None:
    if (body.scope is Scope.ALL) == bool(body.id):
        message = "must be left out for the scope all" if body.id else f"must name the {body.scope.value}"
        raise Invalid(f"id: {message}", [Fault(field="id", message=message)])
