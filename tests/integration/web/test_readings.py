"""The queries that only pages ask for."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection

from kokino.executions import summary_store
from kokino.executions.model import State
from kokino.notify import receiver_store
from kokino.playbooks import evidence_store
from kokino.playbooks import store as run_store
from kokino.playbooks.library import load_library
from kokino.playbooks.run import Outcome, StepState
from kokino.telemetry import minute_store
from kokino.telemetry.minute_store import Minute
from tests.integration.web.outage import RUN, Outage


async def test_minutes_without_executions_are_there_too(outage: Outage) -> None:
    """A chart has a place for every minute, the present one last."""
    await outage.agents()
    await outage.traffic(per_minute=2, minutes=3, failing_for=0)
    outage.clock.advance(seconds=90)
    now = outage.clock.now()
    found = await outage.storage.read(lambda conn: minute_store.minutes(conn, until=now, count=5))
    present = now.replace(second=0)
    assert [minute.at for minute in found] == [present - timedelta(minutes=back) for back in (4, 3, 2, 1, 0)]
    assert [minute.good for minute in found] == [2, 2, 2, 0, 0]
    assert found[-1] == Minute(at=present, good=0, bad=0)


async def test_an_agents_last_outcome_is_the_last_accepted_that_ended(outage: Outage) -> None:
    """What an agent runs or has waiting is no outcome, nor is what an agent did that is gone."""
    await outage.agents()

    def write(conn: Connection) -> None:
        outage.execution(conn, "first", "planner", seconds_ago=50, state=State.COMPLETED)
        outage.execution(conn, "second", "planner", seconds_ago=40, state=State.FAILED)
        outage.execution(conn, "third", "planner", seconds_ago=30, state=State.RUNNING)
        outage.execution(conn, "fourth", "planner", seconds_ago=20, state=State.QUEUED)

    await outage.storage.write(write)
    found = await outage.storage.read(summary_store.last_ended)
    assert {agent_id: one.execution_id for agent_id, one in found.items()} == {"planner": "second"}


async def test_what_runs_is_listed_once(outage: Outage) -> None:
    """The latest executions leave out those that run, which stand above them."""
    await outage.executions()
    running = await outage.storage.read(summary_store.running)
    latest = await outage.storage.read(lambda conn: summary_store.latest(conn, limit=3))
    assert [one.execution_id for one in running] == ["exec-0100-run1", "exec-0101-run2"]
    assert [one.execution_id for one in latest] == ["exec-0102-wait", "exec-0011-7f3a", "exec-0010-7f3a"]


async def test_a_receiver_tells_what_waits_for_it_and_what_it_took(outage: Outage) -> None:
    """One receiver took its message, the other still refuses it."""
    await outage.alert()
    await outage.incident()
    found = await outage.storage.read(receiver_store.fared)
    assert (found["oncall"].waiting, found["headless"].waiting) == (0, 1)
    assert found["oncall"].delivered_at is not None
    assert found["headless"].waiting_since is not None
    assert found["headless"].error == "connection refused; another attempt follows"


async def test_an_entry_shows_the_last_run_before_it(outage: Outage) -> None:
    """A step that runs again and again is shown as it was when the entry was written."""
    await outage.alert()
    number = await outage.incident()
    step = load_library().get("availability-slo-breach").step("by-cli")
    at = outage.clock.now()

    def again(conn: Connection) -> None:
        for back, output in ((20, "second look"), (10, "third look")):
            entry = run_store.begin_step(conn, RUN, step, now=at - timedelta(seconds=back))
            ran = Outcome(state=StepState.PASSED, exit_code=0, output=output, errors="")
            run_store.end_step(conn, entry, ran, now=at - timedelta(seconds=back - 1))

    await outage.storage.write(again)
    until = at - timedelta(seconds=15)
    found = await outage.storage.read(
        lambda conn: evidence_store.last_runs(conn, number, until=until, step_ids=["by-cli"])
    )
    assert [evidence.output for evidence in found] == ["second look"]
