"""What incidents are told of playbook runs, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from kokino.incidents import store as incident_store
from kokino.incidents.evidence import Repair
from kokino.playbooks import evidence_store, store
from kokino.playbooks.library import load_library
from kokino.playbooks.run import Outcome, RunState, StepState
from kokino.storage import Storage

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PLAYBOOK = load_library().get("availability-slo-breach")


def begin(conn: Connection, run_id: str = "run-1", episode_id: str = "episode-1") -> None:
    """A run for the incident INC-1."""
    store.begin(
        conn, run_id, PLAYBOOK, alert_id="alert-1", episode_id=episode_id, incident=1, inputs={}, now=START
    )


@pytest.fixture
async def opened(storage: Storage) -> Storage:
    """With two open incidents, the first of which has a run."""

    def write(conn: Connection) -> None:
        for _ in range(2):
            incident_store.open_incident(
                conn,
                rule_id="availability-slo-breach",
                labels={},
                title="Availability SLO Breach",
                severity="P1",
                owner="@backend-team",
                opened_at=START,
                now=START,
            )
        begin(conn)

    await storage.write(write)
    return storage


async def move(storage: Storage, to: RunState, run_id: str = "run-1") -> Repair:
    """The run goes on; how far the repair of its incident is then."""
    await storage.write(lambda conn: store.move(conn, run_id, to, reason="so", now=START))
    return await storage.read(lambda conn: evidence_store.repair(conn, 1))


async def test_a_repair_goes_from_repairing_to_restoring_to_none(opened: Storage) -> None:
    """Another incident's runs are nothing to it."""
    assert await opened.read(lambda conn: evidence_store.repair(conn, 1)) is Repair.REPAIRING
    assert await move(opened, RunState.MITIGATING) is Repair.REPAIRING
    assert await move(opened, RunState.VERIFYING) is Repair.REPAIRING
    assert await move(opened, RunState.RESTORING) is Repair.RESTORING
    assert await move(opened, RunState.SUCCEEDED) is Repair.NONE
    assert await opened.read(lambda conn: evidence_store.repair(conn, 2)) is Repair.NONE


async def test_what_was_handed_to_people_is_no_repair(opened: Storage) -> None:
    """The broker does nothing more."""
    assert await move(opened, RunState.ESCALATED) is Repair.NONE


async def test_of_two_runs_the_one_that_is_less_far_counts(opened: Storage) -> None:
    """An incident of two episodes is repaired when both are."""
    for state in (RunState.MITIGATING, RunState.VERIFYING, RunState.RESTORING):
        await move(opened, state)
    await opened.write(lambda conn: begin(conn, "run-2", "episode-2"))
    assert await opened.read(lambda conn: evidence_store.repair(conn, 1)) is Repair.REPAIRING
    assert await move(opened, RunState.ESCALATED, "run-2") is Repair.RESTORING


async def test_every_step_that_ran_is_evidence(opened: Storage) -> None:
    """With its commands, its end and what it wrote, in order; one that still runs too."""
    steps = PLAYBOOK.steps[:2]

    def write(conn: Connection) -> None:
        first = store.begin_step(conn, "run-1", steps[0], now=START)
        outcome = Outcome(state=StepState.FAILED, exit_code=7, output="seen", errors="not all")
        store.end_step(conn, first, outcome, now=START + timedelta(seconds=2))
        store.begin_step(conn, "run-1", steps[1], now=START + timedelta(seconds=3))

    await opened.write(write)
    ended, running = await opened.read(lambda conn: evidence_store.evidence(conn, 1))
    assert (ended.step_id, ended.block, ended.playbook_id) == (steps[0].id, steps[0].script, PLAYBOOK.id)
    assert (ended.state, ended.exit_code, ended.output, ended.errors) == ("failed", 7, "seen", "not all")
    assert (running.state, running.exit_code, running.ended_at) == ("running", None, None)
    assert await opened.read(lambda conn: evidence_store.evidence(conn, 2)) == []
