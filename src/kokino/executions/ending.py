"""Decide how an execution ended, from what the CLI said, how it exited, and what we did to it."""

from __future__ import annotations

from enum import StrEnum

from kokino.agents.drivers.contract import Exit, Outcome, Reader
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


def decide(reader: Reader, exit_: Exit | None, stop: Stop | None) -> Ending:
    """The one end of an execution whose tree is gone; `exit_` is None when nobody saw how it went."""
    if stop in {Stop.CANCEL, Stop.SHUTDOWN}:
        return _with(reader, exit_, State.CANCELLED, FailureKind.CANCELLED, _CANCELLED[stop])
    if stop in {Stop.TIMEOUT, Stop.IDLE}:
        return _overdue(reader, exit_, stop)
    if exit_ is None:
        return _with(reader, exit_, State.LOST, FailureKind.LOST, "its process went away and nobody saw how it ended")
    # It had proved success before we ended it: the signal that it died of is ours, not its fault.
    judged = Exit(code=0) if stop is Stop.LINGER else exit_
    outcome = reader.outcome(judged)
    state = State.COMPLETED if outcome.kind is None else State.FAILED
    return _ending(outcome, exit_, state, outcome.kind, outcome.error, reader.version)


_CANCELLED = {
    Stop.CANCEL: "cancelled",
    Stop.SHUTDOWN: "the broker was stopped before it ended",
}


def _overdue(reader: Reader, exit_: Exit | None, stop: Stop) -> Ending:
    if stop is Stop.IDLE:
        own, error = FailureKind.IDLE_TIMEOUT, "no output for as long as its idle deadline"
    else:
        own, error = FailureKind.TIMEOUT, "still running at its deadline"
    # A CLI that retries a refused login until its deadline has a login problem, not a slow model.
    early = reader.early_kind
    if early is not None:
        error = f"{error}; its records tell of {early.value} since"
    return _with(reader, exit_, State.TIMEOUT, early or own, error)


def _with(reader: Reader, exit_: Exit | None, state: State, kind: FailureKind, error: str) -> Ending:
    outcome = reader.outcome(exit_ or Exit())
    return _ending(outcome, exit_, state, kind, error, reader.version)


def _ending(
    outcome: Outcome, exit_: Exit | None, state: State, kind: FailureKind | None, error: str | None, version: str | None
) -> Ending:
    usage = outcome.usage
    return Ending(
        state=state,
        kind=kind,
        error=error,
        exit_code=exit_.code if exit_ else None,
        exit_signal=exit_.signal if exit_ else None,
        content=outcome.content,
        usage=None
        if usage is None
        else {
            "inputTokens": usage.input_tokens,
            "outputTokens": usage.output_tokens,
            "cacheReadTokens": usage.cache_read_tokens,
            "cacheWriteTokens": usage.cache_write_tokens,
        },
        cost_usd=outcome.cost_usd,
        cli_version=version,
    )
