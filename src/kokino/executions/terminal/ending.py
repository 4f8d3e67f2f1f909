"""Decide how an execution in a terminal ended, from what its seat knows beside its CLI's own word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from kokino.agents.drivers.contract import Exit
from kokino.agents.drivers.signs import describe
from kokino.agents.failures import FailureKind
from kokino.clock import iso
from kokino.executions.model import Ending, State
from kokino.executions.stop import Stop
from kokino.executions.terminal.stranded import Stranded
from kokino.process.model import Ended
from kokino.process.tmux.terminal import Gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of one process of an execution, now that it has ended."""

    #: The prompt was put in, or may have been.
    was_typed: bool
    #: Its CLI had said its last word.
    is_final: bool
    #: A permission was the last thing that its screen asked for, and nothing was worked on since.
    was_asking: bool
    #: How its terminal was lost; None where it is still there.
    gone: Gone | None
    #: Why who typed did not get on.
    trouble: Stranded | None


ORPHANED = (
    "its broker went away, and a CLI that is worked in a terminal ends with who types:"
    " what it did until then may be done"
)
GONE: Mapping[Gone, str] = {
    Gone.WINDOW: "its terminal was closed, by whom is not known, and its CLI ended with it",
    Gone.SERVER: "the tmux server ended, and with it every agent's terminal and the CLI in it",
}
UNTOUCHED = "nothing had been typed, so send the prompt again"
HALF_DONE = "look at what it did before you send the prompt again"
#: What we did, where what the CLI says last is its own.
BY_ITSELF = frozenset({None, Stop.LINGER, Stop.ORPHANED})
#: What the loss of a terminal does not explain.
OVER_LIMIT = frozenset({FailureKind.OOM, FailureKind.PROCESS_LIMIT, FailureKind.OUTPUT_LIMIT})


def epitaph(ended: Ended | None, now: datetime) -> str:
    """What is read in a terminal whose CLI has ended, and how."""
    exit_ = Exit() if ended is None else Exit(code=ended.code, signal=ended.signal)
    return f"its CLI {describe(exit_)} at {iso(now)}: this is its last screen"


def explain(ending: Ending, stop: Stop | None, seen: Seen) -> Ending:
    """The end with what only the seat knows."""
    ending = replace(ending, was_typed=seen.was_typed)
    if stop is Stop.ORPHANED and ending.state is State.LOST:
        return replace(ending, error=ORPHANED)
    if ending.state is not State.FAILED:
        return ending
    if _was_hung_up_on(ending, stop, seen):
        return _lost(ending, seen)
    if stop is Stop.STRANDED and seen.trouble is not None:
        return replace(ending, kind=seen.trouble.kind, error=seen.trouble.message)
    if stop in BY_ITSELF and seen.is_final and ending.kind is FailureKind.CANCELLED:
        return _stopped(ending, seen)
    return ending


def _was_hung_up_on(ending: Ending, stop: Stop | None, seen: Seen) -> bool:
    """It has ended for want of its terminal: no fault of its CLI's."""
    is_unasked = stop in {None, Stop.STRANDED}
    return is_unasked and seen.gone is not None and not seen.is_final and ending.kind not in OVER_LIMIT


def _lost(ending: Ending, seen: Seen) -> Ending:
    assert seen.gone is not None  # noqa: S101 - the caller has looked
    next_ = HALF_DONE if seen.was_typed else UNTOUCHED
    return replace(ending, state=State.LOST, kind=FailureKind.LOST, error=f"{GONE[seen.gone]}; {next_}")


def _stopped(ending: Ending, seen: Seen) -> Ending:
    """The key that stops a turn says no to a question, and the CLI has the same words for both."""
    words = f"its CLI says: {ending.error}"
    if seen.was_asking:
        error = f"a permission that it asked for was refused; {words}"
        return replace(ending, kind=FailureKind.PERMISSION, error=error)
    return replace(ending, state=State.CANCELLED, error=f"stopped at its terminal by a key; {words}")
