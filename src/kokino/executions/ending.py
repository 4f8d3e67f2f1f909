"""Decide how an execution ended, from what the CLI said, how it exited, and what we did to it."""

from __future__ import annotations

from enum import StrEnum

from kokino.agents.drivers.contract import Exit, Outcome, Reader, Usage
from kokino.agents.failures import FailureKind
from kokino.executions.model import Ending, State


class Stop(StrEnum):
    """Why we ended it ourselves."""

    CANCEL = "cancel"
    SHUTDOWN = "shutdown"
    TIMEOUT = "timeout"
    IDLE = "idle"
    #: It had said its last word and did not exit.
    LINGER = "linger"


def decide(reader: Reader, exit_: Exit | None, stop: Stop | None, *, is_orphaned: bool = False) -> Ending:
    """The one end of an execution whose tree is gone.

    `exit_` is None when nobody saw how it went. `is_orphaned`: it was ended for want of a broker, not by us.
    """
    # It had proved success before we ended it: the signal that it died of is ours, not its fault.
    judged = Exit(code=0) if stop is Stop.LINGER else exit_ or Exit()
    outcome = reader.outcome(judged)
    state, kind, error = _verdict(reader, outcome, exit_ if not is_orphaned else None, stop)
    return Ending(
        state=state,
        kind=kind,
        error=error,
        exit_code=exit_.code if exit_ else None,
        exit_signal=exit_.signal if exit_ else None,
        content=outcome.content,
        usage=None if outcome.usage is None else _document(outcome.usage),
        cost_usd=outcome.cost_usd,
        cli_version=reader.version,
    )


_CANCELLED = {
    Stop.CANCEL: "cancelled",
    Stop.SHUTDOWN: "the broker was stopped before it ended",
}
_OVERDUE = {
    Stop.TIMEOUT: (FailureKind.TIMEOUT, "still running at its deadline"),
    Stop.IDLE: (FailureKind.IDLE_TIMEOUT, "no output for as long as its idle deadline"),
}


def _verdict(
    reader: Reader, outcome: Outcome, exit_: Exit | None, stop: Stop | None
) -> tuple[State, FailureKind | None, str | None]:
    """What we did goes before what it says: a CLI that is cancelled may exit 0 and claim success."""
    if stop in _CANCELLED:
        return State.CANCELLED, FailureKind.CANCELLED, _CANCELLED[stop]
    if stop in _OVERDUE:
        return _overdue(reader, stop)
    if exit_ is None and outcome.kind is not None:
        return State.LOST, FailureKind.LOST, "its broker or its process went away before it ended"
    state = State.COMPLETED if outcome.kind is None else State.FAILED
    return state, outcome.kind, outcome.error


def _overdue(reader: Reader, stop: Stop) -> tuple[State, FailureKind, str]:
    kind, error = _OVERDUE[stop]
    # A CLI that retries a refused login until its deadline has a login problem, not a slow model.
    if reader.early_kind is not None:
        return (
            State.TIMEOUT,
            reader.early_kind,
            f"{error}; its records tell of {reader.early_kind.value} since",
        )
    return State.TIMEOUT, kind, error


def _document(usage: Usage) -> dict[str, int]:
    return {
        "inputTokens": usage.input_tokens,
        "outputTokens": usage.output_tokens,
        "cacheReadTokens": usage.cache_read_tokens,
        "cacheWriteTokens": usage.cache_write_tokens,
    }
