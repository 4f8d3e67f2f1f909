"""The circuit breaker of one agent on one CLI type: when it opens, whom it lets through, when it closes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from kokino.clock import iso

#: Counted failures in a row after which it opens: fewer can be one bad prompt, repeated.
THRESHOLD = 5
#: How long it stays open before one execution may try: about what an outage of seconds takes to pass.
COOLING = timedelta(seconds=60)

#: Behind the name of a CLI type whose own way an agent goes round by tmux: what it does there says nothing of
#: its own way, and has a circuit of its own. No name of a CLI type holds such a sign.
IN_TMUX = "@tmux"


def in_tmux(cli_type: str) -> str:
    """What the circuit of those is kept under that go round this CLI type's own way by tmux."""
    return f"{cli_type[: 128 - len(IN_TMUX)]}{IN_TMUX}"


class CircuitState(StrEnum):
    """What becomes of the agent's next execution."""

    #: It runs.
    CLOSED = "closed"
    #: It does not run before `Circuit.retry_at`.
    OPEN = "open"
    #: One runs as the trial that decides; the others do not run before it has ended.
    HALF_OPEN = "half_open"


class Verdict(StrEnum):
    """What the end of an execution says about its agent."""

    GOOD = "good"
    #: A failure of a kind that counts.
    BAD = "bad"
    #: Nothing: cancelled, out of quota, lost.
    NEITHER = "neither"


class Passage(StrEnum):
    """What a circuit says to an execution that could start."""

    RUN = "run"
    #: It runs, and its end opens or closes the circuit.
    TRIAL = "trial"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """What an agent's failures in a row on one CLI type have come to."""

    agent_id: str
    #: What it ran on: after a fallback another than the agent's own.
    cli_type: str
    state: CircuitState = CircuitState.CLOSED
    #: Counted failures since the last success.
    failures: int = 0
    last_failure_at: datetime | None = None
    #: Kind of that failure.
    last_kind: str | None = None
    #: When it opened; a trial that fails does not change it. None while it is closed.
    opened_at: datetime | None = None
    #: From when on one execution may try; None while it is closed.
    retry_at: datetime | None = None
    #: The execution that tries; None while none does.
    trial_id: str | None = None


def after(
    circuit: Circuit, verdict: Verdict, *, execution_id: str, kind: str | None, at: datetime
) -> Circuit:
    """The circuit after the end of one of the agent's executions.

    While it is not closed, the trial's end alone decides: who else ends then was under way before.
    """
    if circuit.state is not CircuitState.CLOSED and circuit.trial_id != execution_id:
        return circuit
    match verdict:
        case Verdict.GOOD:
            return closed(circuit)
        case Verdict.NEITHER:
            return replace(circuit, trial_id=None)  # the next one may try
        case Verdict.BAD:
            failed = replace(circuit, failures=circuit.failures + 1, last_failure_at=at, last_kind=kind)
            return _opened(failed, at) if _is_too_much(failed) else failed


def closed(circuit: Circuit) -> Circuit:
    """The circuit once the agent is known to work, or somebody says so; when it last failed stays known."""
    return Circuit(
        agent_id=circuit.agent_id,
        cli_type=circuit.cli_type,
        last_failure_at=circuit.last_failure_at,
        last_kind=circuit.last_kind,
    )


def passage(circuit: Circuit, now: datetime) -> Passage:
    """Whether an execution may start now."""
    if circuit.state is CircuitState.CLOSED:
        return Passage.RUN
    return Passage.TRIAL if _is_due(circuit, now) and circuit.trial_id is None else Passage.HOLD


def tried_by(circuit: Circuit, execution_id: str) -> Circuit:
    """The circuit while an execution runs as its trial."""
    return replace(circuit, state=CircuitState.HALF_OPEN, trial_id=execution_id)


def state_at(circuit: Circuit, now: datetime) -> CircuitState:
    """Its state as people are told: half open from the instant on at which one may try."""
    is_due = circuit.state is CircuitState.OPEN and _is_due(circuit, now)
    return CircuitState.HALF_OPEN if is_due else circuit.state


def why_held(circuit: Circuit, now: datetime) -> str:
    """Why nothing runs now, since when, and what lets it run again, in one sentence."""
    since = "" if circuit.opened_at is None else f" since {iso(circuit.opened_at)}"
    last = "" if circuit.last_kind is None else f", the last one {circuit.last_kind}"
    return (
        f"agent {circuit.agent_id!r} has failed {circuit.failures} times in a row on {circuit.cli_type!r}"
        f"{last}: its circuit breaker is open{since}, {_next_try(circuit, now)};"
        f" POST /agents/{circuit.agent_id}/circuit/reset closes it at once"
    )


def _next_try(circuit: Circuit, now: datetime) -> str:
    if circuit.trial_id is not None:
        return f"{circuit.trial_id} tries now whether it works again"
    if circuit.retry_at is None or now >= circuit.retry_at:
        return "and the execution that will try waits already"
    return f"the next try is at {iso(circuit.retry_at)}"


def _is_too_much(failed: Circuit) -> bool:
    return failed.state is CircuitState.HALF_OPEN or failed.failures >= THRESHOLD


def _is_due(circuit: Circuit, now: datetime) -> bool:
    return circuit.retry_at is None or now >= circuit.retry_at


def _opened(failed: Circuit, at: datetime) -> Circuit:
    return replace(
        failed,
        state=CircuitState.OPEN,
        opened_at=failed.opened_at or at,
        retry_at=at + COOLING,
        trial_id=None,
    )
