"""``/api/shadow-mode``: how both ways of running a prompt compare, and whether headless can take over."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from kokino.api.services import Caller, Given
from kokino.api.shapes import Body, Page, Shape, Time, megabytes
from kokino.shadow.figures import Cost, Figures
from kokino.shadow.model import Comparison, Run, Side
from kokino.shadow.service import Report
from kokino.shadow.store import FAILED, Off

router = APIRouter(prefix="/api/shadow-mode", tags=["shadow mode"])

Days = Annotated[int, Query(ge=1, le=90, description="how far back to look")]
Limit = Annotated[int, Query(ge=1, le=1000)]
#: ``nextCursor`` of the page before.
After = Annotated[str | None, Query(max_length=160)]


class SwitchBody(Body):
    """Why."""

    reason: Annotated[str, Field(min_length=1, max_length=500)] = "by hand"


class SwitchShape(Shape):
    """Whether prompts are compared."""

    enabled: bool
    #: Why not, since when, and who says so; null while they are.
    reason: str | None
    since: Time | None
    set_by: str | None


class TotalsShape(Shape):
    """Counts of a window."""

    #: Matches and mismatches.
    comparisons: int
    matches: int
    mismatches: int
    #: Those that say nothing of the two sides; ``notComparedFor`` tells why.
    not_compared: int
    #: Where headless took half as long again, and 5 s more.
    regressions: int


class RatesShape(Shape):
    """Shares of all comparisons, 0 to 1; null without any."""

    match: float | None
    mismatch: float | None
    tmux_success: float | None
    headless_success: float | None
    regression: float | None


class SideLatencyShape(Shape):
    """How long one side took where both came to an answer."""

    count: int
    mean_ms: int | None
    p50_ms: int | None
    p95_ms: int | None
    max_ms: int | None


class CostShape(Shape):
    """What one side took of the machine and of money; null where nobody told."""

    mean_peak_memory_mb: float | None = Field(alias="meanPeakMemoryMB")
    max_peak_memory_mb: float | None = Field(alias="maxPeakMemoryMB")
    cost_usd: float | None


class FiguresShape(Shape):
    """Everything about one set of comparisons."""

    totals: TotalsShape
    rates: RatesShape
    #: What decided, of matches and of mismatches: outcome, files, exact, normalised, similarity.
    matched_by: dict[str, int]
    mismatched_by: dict[str, int]
    not_compared_for: dict[str, int]
    #: By side: ``tmux`` and ``headless``.
    latency: dict[str, SideLatencyShape]
    resources: dict[str, CostShape]


class OfAgent(Shape):
    """Whose they are."""

    agent_id: str


class OfCli(Shape):
    """What they ran on."""

    cli_type: str


class OfWindow(Shape):
    """When they were, and what they come to in a sentence."""

    summary: str
    shadow_mode: SwitchShape
    days: int
    since: Time
    until: Time
    #: Comparisons that are not over.
    running: int


# What stands behind is read first, and so is written first.
class AgentFiguresShape(FiguresShape, OfAgent):
    """The same for one agent."""


class CliFiguresShape(FiguresShape, OfCli):
    """The same for one CLI type."""


class ReportShape(FiguresShape, OfWindow):
    """How the comparisons of a window went."""

    by_agent: list[AgentFiguresShape]
    by_cli: list[CliFiguresShape]


class SideShape(Shape):
    """What one side of a comparison came to, and took."""

    execution_id: str | None
    state: str | None
    kind: str | None
    error: str | None
    duration_ms: int | None
    peak_memory_mb: float | None = Field(alias="peakMemoryMB")
    cost_usd: float | None


class MismatchShape(Shape):
    """Both ways came to different things."""

    execution_id: str
    agent_id: str
    cli_type: str
    account: str
    began_at: Time
    ended_at: Time | None
    #: What decided, and why, in words.
    layer: str | None
    reason: str | None
    similarity: float | None
    threshold: float
    #: How the shadow side knew what was said before: ``fresh``, ``fork`` or ``continue``.
    context: str | None
    tmux: SideShape
    headless: SideShape
    #: A unified diff from tmux (-) to headless (+), cut where it is long.
    diff: str | None


class FailureShape(Shape):
    """One side of a comparison failed."""

    mode: Side
    #: The execution that failed, and the caller's, which may be the same.
    execution_id: str | None
    compared_with: str
    agent_id: str
    cli_type: str
    state: str | None
    kind: str | None
    error: str | None
    duration_ms: int | None
    ended_at: Time | None


class CriterionShape(Shape):
    """One condition for headless to take over."""

    id: str
    title: str
    #: Null where nothing was measured.
    value: float | None
    target: float
    #: Null where there is not enough to say so.
    met: bool | None
    #: What was measured, in words.
    said: str


class DecisionShape(Shape):
    """Whether headless can take over."""

    #: ``ready``, ``not_ready`` or ``not_enough_data``.
    answer: str
    summary: str
    criteria: list[CriterionShape]


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
        shadow_mode=_switch(found.off),
        by_agent=[
            AgentFiguresShape(agent_id=name, **_figures(some)) for name, some in found.by_agent.items()
        ],
        by_cli=[CliFiguresShape(cli_type=name, **_figures(some)) for name, some in found.by_cli_type.items()],
        **_figures(found.everything),
    )


@router.get("/mismatches")
async def mismatches(given: Given, limit: Limit = 50, cursor: After = None) -> Page[MismatchShape]:
    """The latest mismatches, newest first, each with a diff that a person can read."""
    found = await given.shadow.mismatches(before=cursor, limit=limit + 1)
    more = found[limit - 1].execution_id if len(found) > limit else None
    return Page(items=[_mismatch(one) for one in found[:limit]], next_cursor=more)


@router.get("/failures")
async def failures(
    given: Given, mode: Side | None = None, limit: Limit = 50, cursor: After = None
) -> Page[FailureShape]:
    """The latest failures of compared executions, newest first: of one way, or of both."""
    found = await given.shadow.failures(mode, before=cursor, limit=limit + 1)
    more = found[limit - 1].execution_id if len(found) > limit else None
    sides = list(Side) if mode is None else [mode]
    return Page(
        items=[
            shape for one in found[:limit] for side in sides if (shape := _failure(one, side)) is not None
        ],
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
    return _switch(await given.shadow.disable_all(reason=reason, by=caller.subject))


@router.post("/enable")
async def enable(given: Given, caller: Caller, body: SwitchBody | None = None) -> SwitchShape:
    """Compare again; also when nobody had switched it off."""
    await given.shadow.enable(reason=(body or SwitchBody()).reason, by=caller.subject)
    return _switch(None)


def _switch(off: Off | None) -> SwitchShape:
    return SwitchShape(
        enabled=off is None,
        reason=off.reason if off else None,
        since=off.since if off else None,
        set_by=off.set_by if off else None,
    )


def _figures(found: Figures) -> dict[str, Any]:
    return {
        "totals": TotalsShape.model_validate(found.totals),
        "rates": RatesShape.model_validate(found.rates),
        "matched_by": dict(found.matched_by),
        "mismatched_by": dict(found.mismatched_by),
        "not_compared_for": dict(found.not_compared),
        "latency": {side.value: SideLatencyShape.model_validate(one) for side, one in found.latency.items()},
        "resources": {side.value: _cost(one) for side, one in found.resources.items()},
    }


def _cost(cost: Cost) -> CostShape:
    return CostShape(
        mean_peak_memory_mb=megabytes(cost.mean_peak_memory_bytes),
        max_peak_memory_mb=megabytes(cost.max_peak_memory_bytes),
        cost_usd=cost.cost_usd,
    )


def _mismatch(one: Comparison) -> MismatchShape:
    return MismatchShape(
        execution_id=one.execution_id,
        agent_id=one.agent_id,
        cli_type=one.cli_type,
        account=one.account,
        began_at=one.began_at,
        ended_at=one.ended_at,
        layer=one.layer,
        reason=one.reason,
        similarity=one.similarity,
        threshold=one.threshold,
        context=one.context,
        tmux=_side(one.execution_id, one.tmux),
        headless=_side(one.shadow_execution_id, one.headless),
        diff=one.difference,
    )


def _side(execution_id: str | None, run: Run) -> SideShape:
    return SideShape(
        execution_id=execution_id,
        state=run.state,
        kind=run.kind,
        error=run.error,
        duration_ms=run.duration_ms,
        peak_memory_mb=megabytes(run.peak_memory_bytes),
        cost_usd=run.cost_usd,
    )


def _failure(one: Comparison, side: Side) -> FailureShape | None:
    run = one.tmux if side is Side.TMUX else one.headless
    if run.state not in FAILED:
        return None
    return FailureShape(
        mode=side,
        execution_id=one.execution_id if side is Side.TMUX else one.shadow_execution_id,
        compared_with=one.execution_id,
        agent_id=one.agent_id,
        cli_type=one.cli_type,
        state=run.state,
        kind=run.kind,
        error=run.error,
        duration_ms=run.duration_ms,
        ended_at=one.ended_at,
    )


def _summary(found: Report, days: int) -> str:
    """The answer in a sentence or two."""
    totals, rates = found.everything.totals, found.everything.rates
    over = "the last day" if days == 1 else f"the last {days} days"
    off = "" if found.off is None else f" Shadow mode is switched off: {found.off.reason}."
    if not totals.comparisons:
        return f"Nothing was compared in {over}.{off}"
    match, success = (int((rate or 0) * 1000) / 10 for rate in (rates.match, rates.headless_success))
    return (
        f"{totals.comparisons:,} comparisons in {over}: {match:g} % match,"
        f" headless succeeds in {success:g} %.{off}"
    )
