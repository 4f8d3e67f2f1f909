"""``/api/shadow-mode``: how both ways of running a prompt compare, and whether headless can take over."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Query
from pydantic import Field

from kokino.api.routing import router_of
from kokino.api.services import Caller, Given
from kokino.api.shadow_shapes import (
    AgentFiguresShape,
    CliFiguresShape,
    DecisionShape,
    FailureShape,
    MismatchShape,
    ReportShape,
    SwitchShape,
    failure,
    figures,
    mismatch,
    switch,
)
from kokino.api.shapes import Body, Page
from kokino.shadow.model import Side
from kokino.shadow.service import Report

router = router_of("shadow mode", prefix="/api/shadow-mode")

Days = Annotated[int, Query(ge=1, le=90, description="how far back to look")]
Limit = Annotated[int, Query(ge=1, le=1000)]
#: ``nextCursor`` of the page before.
After = Annotated[str | None, Query(max_length=160)]


class SwitchBody(Body):
    """Why."""

    reason: Annotated[str, Field(min_length=1, max_length=500)] = "by hand"


@router.get("/metrics")
async def metrics(given: Given, days: Days = 7) -> ReportShape:
    """How the comparisons of the last days went: totals, rates from 0 to 1, latency and cost of both ways."""
    found = await given.shadow.report(timedelta(days=days))
    return ReportShape(
        summary=_summary(found, days),
        days=days,
        since=found.since,
        until=found.until,
        running=found.running,
        shadow_mode=switch(found.off),
        by_agent=[AgentFiguresShape(agent_id=name, **figures(some)) for name, some in found.by_agent.items()],
        by_cli=[CliFiguresShape(cli_type=name, **figures(some)) for name, some in found.by_cli_type.items()],
        **figures(found.everything),
    )


@router.get("/mismatches")
async def mismatches(given: Given, limit: Limit = 50, cursor: After = None) -> Page[MismatchShape]:
    """The latest mismatches, newest first, each with a diff that a person can read."""
    found = await given.shadow.mismatches(before=cursor, limit=limit + 1)
    more = found[limit - 1].execution_id if len(found) > limit else None
    return Page(items=[mismatch(one) for one in found[:limit]], next_cursor=more)


@router.get("/failures")
async def failures(
    given: Given, mode: Side | None = None, limit: Limit = 50, cursor: After = None
) -> Page[FailureShape]:
    """The latest failures of compared executions, newest first: of one way, or of both."""
    found = await given.shadow.failures(mode, before=cursor, limit=limit + 1)
    more = found[limit - 1].execution_id if len(found) > limit else None
    sides = list(Side) if mode is None else [mode]
    return Page(
        items=[shape for one in found[:limit] for side in sides if (shape := failure(one, side)) is not None],
        next_cursor=more,
    )


@router.get("/decision")
async def decision(given: Given) -> DecisionShape:
    """Whether headless can take over, by five criteria over the last 30 days."""
    return DecisionShape.model_validate(await given.shadow.decision())


@router.post("/disable-all")
async def disable_all(given: Given, caller: Caller, body: SwitchBody | None = None) -> SwitchShape:
    """Compare nothing until it is enabled: agents in shadow mode run by tmux alone, as their callers know it.

    What runs beside them is ended.
    """
    reason = (body or SwitchBody()).reason
    return switch(await given.shadow.disable_all(reason=reason, by=caller.subject))


@router.post("/enable")
async def enable(given: Given, caller: Caller, body: SwitchBody | None = None) -> SwitchShape:
    """Compare again; also when nobody had switched it off."""
    await given.shadow.enable(reason=(body or SwitchBody()).reason, by=caller.subject)
    return switch(None)


def _summary(found: Report, days: int) -> str:
    """The answer in a sentence or two."""
    totals, rates = found.everything.totals, found.everything.rates
    over = "the last day" if days == 1 else f"the last {days} days"
    off = "" if found.off is None else f" Shadow mode is switched off: {found.off.reason}."
    if not totals.comparisons:
        return f"Nothing was compared in {over}.{off}"
    match, success = (int((rate or 0) * 1000) / 10 for rate in (rates.match, rates.headless_success))
    counted = "1 comparison" if totals.comparisons == 1 else f"{totals.comparisons:,} comparisons"
    return f"{counted} in {over}: {match:g} % match, headless succeeds in {success:g} %.{off}"
