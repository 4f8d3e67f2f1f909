"""How ``/api/shadow-mode`` answers: figures, mismatches, failures and the decision."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from kokino.api.shapes import Shape, Time, megabytes
from kokino.shadow.figures import Cost, Figures
from kokino.shadow.model import Comparison, Run, Side
from kokino.shadow.store import FAILED, Off


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


def switch(off: Off | None) -> SwitchShape:
    """Whether prompts are compared; `off` says why not."""
    return SwitchShape(
        enabled=off is None,
        reason=off.reason if off else None,
        since=off.since if off else None,
        set_by=off.set_by if off else None,
    )


def figures(found: Figures) -> dict[str, Any]:
    """What every `FiguresShape` is made of."""
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


def mismatch(one: Comparison) -> MismatchShape:
    """A comparison whose sides came to different things."""
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


def failure(one: Comparison, side: Side) -> FailureShape | None:
    """How one side of a comparison failed; None where it did not."""
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
