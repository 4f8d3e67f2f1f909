"""What is answered about service levels, from stored executions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kokino.slo.answers import Period, SloReport, SloStatus, State
from kokino.slo.defaults import defaults
from kokino.slo.status import report, status
from kokino.storage import Storage
from kokino.telemetry import store
from kokino.telemetry.model import END_TYPES, Event

NOW = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
AGO = timedelta


async def end(storage: Storage, state: str, ago: timedelta, times: int = 1, duration_ms: int = 1_000) -> None:
    """So many executions ended like this."""
    event = Event(
        type=END_TYPES[state], at=NOW - ago, agent_id="a", cli_type="claude-code", duration_ms=duration_ms
    )
    await storage.write(lambda conn: [store.append(conn, event) for _ in range(times)])


async def ask(storage: Storage, *, running: tuple[timedelta, ...] = ()) -> SloStatus:
    """The status now."""
    return await storage.read(
        lambda conn: status(
            conn, now=NOW, objectives=defaults(), alert_states={"availability": "firing"}, running=running
        )
    )


async def ask_report(storage: Storage, period: Period) -> SloReport:
    """The report of a period."""
    return await storage.read(lambda conn: report(conn, period=period, now=NOW, objectives=defaults()))


async def test_no_data_is_said_as_no_data(storage: Storage) -> None:
    """Neither 0 % nor 100 %, and nothing is breached."""
    found = await ask(storage)
    for level in (found.availability, found.latency, found.correctness, found.integrity, found.resources):
        assert (level.current, level.state, level.breached) == (None, State.NO_DATA, False)
    assert found.availability.error_budget_remaining is None
    assert set(found.availability.burn_rates.values()) == {None}
    assert found.latency.p95 is None


async def test_the_last_hour_and_the_budget_of_thirty_days_stand_side_by_side(storage: Storage) -> None:
    """90 % in the last hour, while one failure in 400 spent half of the budget."""
    await end(storage, "completed", AGO(minutes=30), times=9)
    await end(storage, "failed", AGO(minutes=20))
    await end(storage, "completed", AGO(days=10), times=390)
    found = (await ask(storage)).availability
    assert (found.current, found.target, found.breached, found.state) == (0.9, 0.995, True, State.BREACHED)
    assert found.error_budget_remaining == 0.5
    assert (found.window.days, found.window.good, found.window.total) == (30, 399, 400)
    assert found.error_budget.minutes_total == 216
    assert found.error_budget.minutes_remaining == 108
    assert found.alert_state == "firing"


async def test_burn_rates_are_told_for_both_windows_of_every_tier(storage: Storage) -> None:
    """An outage of 10 minutes ago is in every window but the shortest."""
    await end(storage, "failed", AGO(minutes=10))
    await end(storage, "completed", AGO(minutes=2), times=3)
    rates = (await ask(storage)).availability.burn_rates
    assert list(rates) == ["5m", "30m", "1h", "2h", "6h", "1d", "3d"]
    assert rates["5m"] == 0.0
    assert rates["30m"] == rates["3d"] == 50.0


async def test_an_execution_that_ended_this_very_millisecond_counts(storage: Storage) -> None:
    """A failure is seen at once, not a millisecond later."""
    await end(storage, "failed", AGO(0))
    assert (await ask(storage)).availability.current == 0.0


async def test_current_forgets_after_an_hour_and_the_budget_after_thirty_days(storage: Storage) -> None:
    """To the millisecond: an hour ago is out, and so is what is 30 days old."""
    millisecond = AGO(milliseconds=1)
    await end(storage, "failed", AGO(days=30))
    await end(storage, "failed", AGO(hours=1))
    await end(storage, "completed", AGO(hours=1) - millisecond)
    found = (await ask(storage)).availability
    assert found.current == 1.0
    assert (found.window.good, found.window.total) == (1, 2)


async def test_latency_is_the_share_within_the_threshold_with_its_quantiles(storage: Storage) -> None:
    """One of twenty is slow: exactly 95 % within 30 s, which is kept."""
    await end(storage, "completed", AGO(hours=5), times=19, duration_ms=30_000)
    await end(storage, "completed", AGO(hours=5), duration_ms=30_001)
    found = (await ask(storage)).latency
    assert (found.current, found.state, found.threshold_ms) == (0.95, State.OK, 30_000)
    assert (found.p50, found.p95, found.max) == (30_000, 30_000, 30_001)
    assert found.p99 == 30_001


async def test_a_hung_execution_is_slow_though_it_never_ends(storage: Storage) -> None:
    """Past the threshold it counts with its age; before, not at all."""
    await end(storage, "completed", AGO(hours=1))
    found = (await ask(storage, running=(AGO(seconds=10), AGO(minutes=9)))).latency
    assert (found.current, found.running_slow, found.state) == (0.5, 1, State.BREACHED)
    assert found.max == 540_000


@pytest.mark.parametrize(
    ("period", "good", "compliant"),
    [(Period.DAILY, 1, True), (Period.WEEKLY, 1, False), (Period.MONTHLY, 300, True)],
)
async def test_a_report_says_whether_its_period_kept_the_promise(
    storage: Storage, period: Period, good: int, compliant: bool
) -> None:
    """A failure three days ago breaks the week, not the day, and drowns in a good month."""
    await end(storage, "completed", AGO(hours=3))
    await end(storage, "failed", AGO(days=3))
    await end(storage, "completed", AGO(days=20), times=299)
    found = await ask_report(storage, period)
    assert (found.availability.good, found.availability.compliant) == (good, compliant)
    assert (found.since, found.until) == (NOW - period.length, NOW)


async def test_a_report_without_data_is_neither_compliant_nor_not(storage: Storage) -> None:
    """What was not measured was not kept either."""
    found = await ask_report(storage, Period.WEEKLY)
    for level in (found.availability, found.latency, found.correctness, found.integrity, found.resources):
        assert (level.compliant, level.state) == (None, State.NO_DATA)
