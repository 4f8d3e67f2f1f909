"""Decide how an execution ended, from what the CLI said, how it exited, and what we did to it."""

from __future__ import annotations

from kokino.agents.drivers.contract import Exit, Outcome, Reader, Usage
from kokino.agents.failures import FailureKind
from kokino.agents.model import Limits
from kokino.executions.model import Ending, State
from kokino.executions.stop import Stop
from kokino.process.model import Breach, Ended
from kokino.validation import as_setting


def decide(reader: Reader, ended: Ended | None, stop: Stop | None, limits: Limits) -> Ending:
    """The one end of an execution whose tree is gone; `ended` is None when nobody saw how it went.

    `limits` are the execution's: its deadline is the one that its caller asked for.
    """
    exit_ = _exit_of(ended)
    # It had proved success before we ended it: the signal that it died of is ours, not its fault.
    judged = Exit(code=0) if stop in {Stop.LINGER, Stop.ORPHANED} else exit_ or Exit()
    outcome = reader.outcome(judged)
    # One that was made to end though we did not ask was ended for want of a broker.
    is_orphaned = stop is None and ended is not None and ended.was_stopped and ended.breach is None
    breach = _breach(reader, ended, stop)
    state, kind, error = (
        _verdict(reader, outcome, None if is_orphaned else exit_, stop, limits)
        if breach is None
        else (State.FAILED, *_over(breach, limits))
    )
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
        peak_memory_bytes=ended.peak_bytes if ended else None,
        cpu_ms=ended.cpu_ms if ended else None,
        counts_session=outcome.counts_session,
        counts_session_cost=outcome.counts_session_cost,
        began_anew=outcome.began_anew,
        resets_at=outcome.resets_at,
    )


def _exit_of(ended: Ended | None) -> Exit | None:
    """How the CLI itself exited; None when nobody saw it."""
    if ended is None or (ended.code is None and ended.signal is None):
        return None
    return Exit(code=ended.code, signal=ended.signal)


def _breach(reader: Reader, ended: Ended | None, stop: Stop | None) -> Breach | None:
    """The limit that it went over; what it took after its last word is no fault of its work."""
    if reader.is_final or stop in _CANCELLED:
        return None
    if stop is Stop.OUTPUT:
        return Breach.OUTPUT
    return ended.breach if ended else None


def _over(breach: Breach, limits: Limits) -> tuple[FailureKind, str]:
    match breach:
        case Breach.MEMORY:
            said = f"its processes took more than {limits.memory_mb} MiB of memory (limits.memory_mb)"
            return FailureKind.OOM, said
        case Breach.PROCESSES:
            return (
                FailureKind.PROCESS_LIMIT,
                f"it ran more than {limits.processes} processes at a time (limits.processes)",
            )
        case Breach.OUTPUT:
            return (
                FailureKind.OUTPUT_LIMIT,
                f"it wrote more than {limits.output_mb} MiB (limits.output_mb); the rest is not recorded",
            )


_CANCELLED = {
    Stop.CANCEL: "cancelled",
    Stop.SHUTDOWN: "the broker was stopped before it ended",
}
_ORPHANED = (
    "its broker went away, and a dialogue by the Agent Client Protocol ends with its broker:"
    " what it did until then may be done"
)
_CUT = (
    "the file of its session was cut or written anew while it worked: its answer cannot be told from earlier"
    " ones; look at what it did before you send the prompt again"
)
_OVERDUE = {
    Stop.TIMEOUT: FailureKind.TIMEOUT,
    Stop.IDLE: FailureKind.IDLE_TIMEOUT,
}


def _verdict(
    reader: Reader, outcome: Outcome, exit_: Exit | None, stop: Stop | None, limits: Limits
) -> tuple[State, FailureKind | None, str | None]:
    """What we did goes before what it says: a CLI that is cancelled may exit 0 and claim success."""
    if stop in _CANCELLED:
        return State.CANCELLED, FailureKind.CANCELLED, _CANCELLED[stop]
    if stop in _OVERDUE:
        return _overdue(reader, stop, limits)
    if stop is Stop.ORPHANED and not reader.is_final:
        return State.LOST, FailureKind.LOST, _ORPHANED
    if stop is Stop.CUT:
        return State.FAILED, FailureKind.PROTOCOL, _CUT
    if exit_ is None and outcome.kind is not None:
        return State.LOST, FailureKind.LOST, "its broker or its process went away before it ended"
    state = State.COMPLETED if outcome.kind is None else State.FAILED
    return state, outcome.kind, outcome.error


def _overdue(reader: Reader, stop: Stop, limits: Limits) -> tuple[State, FailureKind, str]:
    kind, error = _OVERDUE[stop], f"still running after {as_setting(limits.timeout)}, its deadline"
    if stop is Stop.IDLE:
        error = f"no output for {as_setting(limits.idle)}, its idle deadline (limits.idle)"
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
