"""``/api/slo/status`` and ``/api/metrics/slo``: how the service levels stand."""

from __future__ import annotations

from kokino.alerts import store as alert_store
from kokino.api.metrics import running_for
from kokino.api.routing import router_of
from kokino.api.services import Given
from kokino.api.shapes import Shape, Time
from kokino.slo import status as slo
from kokino.slo.answers import Period

router = router_of("slo", prefix="/api")


class WindowShape(Shape):
    """What was counted over an objective's whole window."""

    days: float
    current: float | None
    good: int
    total: int


class BudgetShape(Shape):
    """The error budget, as minutes of total outage."""

    minutes_total: float
    minutes_remaining: float | None
    consumed: float | None


class AvailabilityShape(Shape):
    """Availability over the last hour, and its budget over 30 days."""

    current: float | None
    target: float
    breached: bool
    alert_state: str
    error_budget_remaining: float | None
    state: str
    window: WindowShape
    burn_rates: dict[str, float | None]
    error_budget: BudgetShape


class LatencyShape(Shape):
    """Latency over 24 hours, in milliseconds."""

    current: float | None
    target: float
    breached: bool
    alert_state: str
    state: str
    threshold_ms: int
    p50: int | None
    p95: int | None
    p99: int | None
    max: int | None
    running_slow: int
    error_budget_remaining: float | None
    window: WindowShape


class CountedShape(Shape):
    """Correctness, integrity or resources over the objective's window."""

    current: float | None
    target: float
    breached: bool
    alert_state: str
    state: str
    error_budget_remaining: float | None
    window: WindowShape


class StatusShape(Shape):
    """Every service level."""

    availability: AvailabilityShape
    latency: LatencyShape
    correctness: CountedShape
    integrity: CountedShape
    resources: CountedShape
    timestamp: Time


class LevelShape(Shape):
    """One service level over a period."""

    current: float | None
    target: float
    good: int
    total: int
    state: str
    compliant: bool | None
    error_budget: BudgetShape
    quantiles: dict[str, int | None] | None


class ReportShape(Shape):
    """Every service level over a period."""

    period: Period
    since: Time
    until: Time
    availability: LevelShape
    latency: LevelShape
    correctness: LevelShape
    integrity: LevelShape
    resources: LevelShape


@router.get("/slo/status")
async def status(given: Given) -> StatusShape:
    """How every service level stands now."""
    now = given.clock.now()
    found = await given.storage.read(
        lambda conn: slo.status(
            conn,
            now=now,
            objectives=given.objectives,
            alert_states=alert_store.states_by_slo(conn),
            running=running_for(conn, now),
        )
    )
    return StatusShape.model_validate(found)


@router.get("/metrics/slo")
async def report(given: Given, period: Period = Period.DAILY) -> ReportShape:
    """How they did over the last day, week or month."""
    now = given.clock.now()
    found = await given.storage.read(
        lambda conn: slo.report(
            conn, period=period, now=now, objectives=given.objectives, running=running_for(conn, now)
        )
    )
    return ReportShape.model_validate(found)
