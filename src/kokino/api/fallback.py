"""``/api/fallback``: send agents elsewhere, and see what is out of use or waits."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field
from sqlalchemy import Connection

from kokino.agents import store as agent_store
from kokino.agents import traffic_store
from kokino.agents.names import CliTypeName
from kokino.agents.traffic import stranded, traffic_now
from kokino.api.executions import ExecutionShape
from kokino.api.executions import shape as execution_shape
from kokino.api.fallback_shapes import (
    FallbackStatus,
    StrandedShape,
    disabled_shape,
    forced_shape,
    pause_shape,
)
from kokino.api.guard import check_admin
from kokino.api.routing import router_of
from kokino.api.services import Caller, Given
from kokino.api.shapes import Body

router = router_of("fallback", prefix="/api/fallback")

#: Why, for those who wonder.
Reason = Annotated[str, Field(min_length=1, max_length=500)]


class DisableBody(Body):
    """A CLI type to take out of use."""

    cli_type: CliTypeName
    reason: Reason
    #: ``tmux``, ``park`` or the CLI type that its agents are moved to, unless they name a fallback of their
    #: own; where it is left out, and they name none, they are worked in tmux.
    target: CliTypeName | None = None


class ForceBody(Body):
    """An agent to send elsewhere."""

    agent_id: str
    reason: Reason
    #: ``tmux``, ``park`` or a CLI type; where it is left out, its own fallback, which is tmux by default.
    target: CliTypeName | None = None


class ClearBody(Body):
    """An agent that shall run where it is meant to."""

    agent_id: str
    reason: Reason = "cleared by hand"


class EnableBody(Body):
    """A CLI type to use again."""

    cli_type: CliTypeName
    reason: Reason = "enabled by hand"
    #: Only where it is this one that has disabled it: what somebody else has disabled since stays so.
    set_by: str | None = None


class ProbeBody(Body):
    """A disabled CLI type to ask."""

    cli_type: CliTypeName


class ProbeAgentBody(Body):
    """An agent that is sent elsewhere, to ask."""

    agent_id: str


@router.get("/status")
async def status(given: Given) -> FallbackStatus:
    """What is disabled, who is sent elsewhere, who is left without a way, and what is paused."""

    wanted, now = given.probes.wanted, given.clock.now()

    def read(conn: Connection) -> FallbackStatus:
        left = stranded(conn, traffic_now(conn, given.cli_types, now))
        return FallbackStatus(
            disabled_clis=[
                disabled_shape(fallback, wanted) for fallback in traffic_store.disabled(conn).values()
            ],
            forced_fallbacks=[
                forced_shape(fallback, agent_store.get(conn, agent_id), wanted, left.get(agent_id))
                for agent_id, fallback in traffic_store.forced(conn).items()
            ],
            stranded=[StrandedShape(agent_id=agent_id, reason=why) for agent_id, why in left.items()],
            pauses=[pause_shape(pause) for pause in traffic_store.paused(conn)],
        )

    return await given.storage.read(read)


@router.post("/cli/disable")
async def disable(body: DisableBody, given: Given, caller: Caller) -> FallbackStatus:
    """Run the CLI type's agents elsewhere until it is enabled; `stranded` says who is left without a way.

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


@router.post("/cli/enable")
async def enable(body: EnableBody, given: Given, caller: Caller) -> FallbackStatus:
    """Use the CLI type again; also when it was not disabled. With ``setBy``, only what that one disabled."""
    await given.agents.enable(body.cli_type, reason=body.reason, by=caller.subject, set_by=body.set_by)
    return await status(given)


@router.post("/cli/probe", status_code=202)
async def probe(body: ProbeBody, given: Given) -> ExecutionShape:
    """Start a labelled execution that asks whether a disabled CLI type works again."""
    return execution_shape(await given.probes.probe(body.cli_type))


@router.post("/agent/force")
async def force(body: ForceBody, given: Given, caller: Caller) -> FallbackStatus:
    """Send one agent elsewhere until it is cleared, while its CLI type goes on working for the others.

    To send one that asks to a CLI that asks nobody needs the scope admin.
    """
    await given.agents.force(
        body.agent_id,
        reason=body.reason,
        target=body.target,
        by=caller.subject,
        vouch=partial(check_admin, caller),
    )
    return await status(given)


@router.post("/agent/clear")
async def clear(body: ClearBody, given: Given, caller: Caller) -> FallbackStatus:
    """Let the agent run where it is meant to, its circuit breaker closed; also when it was not sent away."""
    await given.agents.clear(body.agent_id, reason=body.reason, by=caller.subject)
    return await status(given)


@router.post("/agent/probe", status_code=202)
async def probe_agent(body: ProbeAgentBody, given: Given) -> ExecutionShape:
    """Start a labelled execution that asks whether an agent works again where it is meant to run."""
    return execution_shape(await given.probes.probe_agent(body.agent_id))
