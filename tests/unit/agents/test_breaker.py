"""The circuit breaker as tables: what each end of an execution does to it, and whom it lets through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from kokino.agents.breaker import (
    COOLING,
    THRESHOLD,
    Circuit,
    CircuitState,
    Passage,
    Verdict,
    after,
    closed,
    passage,
    state_at,
    tried_by,
    why_held,
)

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=10)


def circuit(state: CircuitState = CircuitState.CLOSED, failures: int = 0, **more: object) -> Circuit:
    """The writer's circuit on claude."""
    return Circuit(agent_id="writer", cli_type="claude", state=state, failures=failures, **more)  # type: ignore[arg-type]


OPEN = circuit(CircuitState.OPEN, 5, opened_at=EARLIER, retry_at=NOW, last_kind="auth")
TRYING = tried_by(OPEN, "exec-trial")
FREED = circuit(CircuitState.HALF_OPEN, 5, opened_at=EARLIER, retry_at=EARLIER)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A circuit, an end, and what the circuit is then."""

    why: str
    before: Circuit
    verdict: Verdict
    execution_id: str = "exec-trial"
    state: CircuitState
    failures: int


CASES = [
    Case(
        why="one failure is one failure",
        before=circuit(),
        verdict=Verdict.BAD,
        state=CircuitState.CLOSED,
        failures=1,
    ),
    Case(
        why="four in a row are still no outage",
        before=circuit(failures=3),
        verdict=Verdict.BAD,
        state=CircuitState.CLOSED,
        failures=4,
    ),
    Case(
        why="the fifth in a row opens it",
        before=circuit(failures=4),
        verdict=Verdict.BAD,
        state=CircuitState.OPEN,
        failures=5,
    ),
    Case(
        why="a success ends the row",
        before=circuit(failures=4),
        verdict=Verdict.GOOD,
        state=CircuitState.CLOSED,
        failures=0,
    ),
    Case(
        why="an end that says nothing neither counts nor ends the row",
        before=circuit(failures=4),
        verdict=Verdict.NEITHER,
        state=CircuitState.CLOSED,
        failures=4,
    ),
    Case(
        why="a trial that succeeds closes it",
        before=TRYING,
        verdict=Verdict.GOOD,
        state=CircuitState.CLOSED,
        failures=0,
    ),
    Case(
        why="a trial that fails opens it anew",
        before=TRYING,
        verdict=Verdict.BAD,
        state=CircuitState.OPEN,
        failures=6,
    ),
    Case(
        why="a trial that says nothing leaves its place to the next one",
        before=TRYING,
        verdict=Verdict.NEITHER,
        state=CircuitState.HALF_OPEN,
        failures=5,
    ),
    Case(
        why="another one's success decides nothing: it began when all was well",
        before=TRYING,
        verdict=Verdict.GOOD,
        execution_id="exec-other",
        state=CircuitState.HALF_OPEN,
        failures=5,
    ),
    Case(
        why="another one's failure opens nothing twice",
        before=OPEN,
        verdict=Verdict.BAD,
        execution_id="exec-other",
        state=CircuitState.OPEN,
        failures=5,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_what_an_end_does_to_a_circuit(case: Case) -> None:
    """Its state, and the failures that it has counted."""
    changed = after(case.before, case.verdict, execution_id=case.execution_id, kind="auth", at=NOW)
    assert (changed.state, changed.failures) == (case.state, case.failures)


def test_five_failures_open_it_for_a_minute() -> None:
    """From the last failure on; the last kind stays known."""
    found = circuit()
    for number in range(THRESHOLD):
        at = NOW + timedelta(seconds=number)
        found = after(found, Verdict.BAD, execution_id=f"exec-{number}", kind="crash", at=at)
    last = NOW + timedelta(seconds=THRESHOLD - 1)
    assert (found.opened_at, found.last_failure_at, found.last_kind) == (last, last, "crash")
    assert found.retry_at == last + COOLING == last + timedelta(seconds=60)


def test_a_failed_trial_keeps_since_when_it_is_open_and_waits_another_minute() -> None:
    """People ask how long it has been so; the trial is over."""
    found = after(TRYING, Verdict.BAD, execution_id="exec-trial", kind="auth", at=NOW)
    assert (found.opened_at, found.retry_at, found.trial_id) == (EARLIER, NOW + COOLING, None)


def test_a_closed_circuit_remembers_its_last_failure_and_nothing_else() -> None:
    """Whoever looks later sees that there was one."""
    failed = after(TRYING, Verdict.BAD, execution_id="exec-trial", kind="auth", at=NOW)
    assert closed(failed) == circuit(last_failure_at=NOW, last_kind="auth")


BEFORE = NOW - timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("found", "now", "expected", "shown"),
    [
        pytest.param(circuit(failures=4), NOW, Passage.RUN, CircuitState.CLOSED, id="closed"),
        pytest.param(OPEN, BEFORE, Passage.HOLD, CircuitState.OPEN, id="open"),
        pytest.param(OPEN, NOW, Passage.TRIAL, CircuitState.HALF_OPEN, id="open long enough"),
        pytest.param(TRYING, NOW, Passage.HOLD, CircuitState.HALF_OPEN, id="one tries already"),
        pytest.param(FREED, NOW, Passage.TRIAL, CircuitState.HALF_OPEN, id="the place is free again"),
    ],
)
def test_whom_it_lets_through(found: Circuit, now: datetime, expected: Passage, shown: CircuitState) -> None:
    """To the millisecond; people are told the state that goes with it."""
    assert (passage(found, now), state_at(found, now)) == (expected, shown)


def test_who_is_held_is_told_why_since_when_and_until_when() -> None:
    """And what closes it at once."""
    assert why_held(OPEN, BEFORE) == (
        "agent 'writer' has failed 5 times in a row on 'claude', the last one auth: its circuit breaker"
        " is open since 2026-01-05T08:50:00.000Z, the next try is at 2026-01-05T09:00:00.000Z;"
        " POST /agents/writer/circuit/reset closes it at once"
    )
    assert "exec-trial tries now whether it works again" in why_held(TRYING, NOW)
    assert "the execution that will try waits already" in why_held(OPEN, NOW)
