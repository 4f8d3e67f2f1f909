"""How an execution in a terminal ended: a table of cases, each with the reason why it is there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from kokino.agents.failures import FailureKind
from kokino.executions.model import Ending, State
from kokino.executions.stop import Stop
from kokino.executions.terminal.ending import ORPHANED, Seen, explain
from kokino.executions.terminal.stranded import Stranded
from kokino.process.tmux.terminal import Gone

HUNG_UP = Ending(state=State.FAILED, kind=FailureKind.CRASH, error="exited with code 129")
DONE = Ending(state=State.COMPLETED)
SAYS_INTERRUPTED = Ending(
    state=State.FAILED, kind=FailureKind.CANCELLED, error="[Request interrupted by user]"
)
CLOSED = "its terminal was closed, by whom is not known, and its CLI ended with it"
LOOK = "look at what it did before you send the prompt again"
SEEN = Seen(was_typed=True, is_final=False, was_asking=False, gone=None, trouble=None)
FINAL = replace(SEEN, is_final=True)
ALONE = replace(SEEN, gone=Gone.WINDOW)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is known, and what it comes to."""

    why: str
    ending: Ending = HUNG_UP
    stop: Stop | None = None
    seen: Seen = SEEN
    state: State
    kind: FailureKind | None
    error: str | None


CASES = [
    Case(
        why="somebody closed its window: its CLI did nothing wrong",
        seen=ALONE,
        state=State.LOST,
        kind=FailureKind.LOST,
        error=f"{CLOSED}; {LOOK}",
    ),
    Case(
        why="closed before anything was typed: nothing can have been done",
        seen=replace(ALONE, was_typed=False),
        state=State.LOST,
        kind=FailureKind.LOST,
        error=f"{CLOSED}; nothing had been typed, so send the prompt again",
    ),
    Case(
        why="the server took every agent's terminal with it",
        seen=replace(ALONE, gone=Gone.SERVER),
        state=State.LOST,
        kind=FailureKind.LOST,
        error=f"the tmux server ended, and with it every agent's terminal and the CLI in it; {LOOK}",
    ),
    Case(
        why="a CLI that does not mind its hang-up is seen by who types, and ended",
        stop=Stop.STRANDED,
        seen=replace(ALONE, trouble=Stranded(FailureKind.CRASH, "its terminal cannot be worked")),
        state=State.LOST,
        kind=FailureKind.LOST,
        error=f"{CLOSED}; {LOOK}",
    ),
    Case(
        why="it crashed by itself, its terminal is still there",
        state=State.FAILED,
        kind=FailureKind.CRASH,
        error="exited with code 129",
    ),
    Case(
        why="what it had said by then counts",
        ending=DONE,
        seen=replace(ALONE, is_final=True),
        state=State.COMPLETED,
        kind=None,
        error=None,
    ),
    Case(
        why="a failure that it had told counts, too",
        ending=Ending(state=State.FAILED, kind=FailureKind.AUTH, error="log in"),
        seen=replace(ALONE, is_final=True),
        state=State.FAILED,
        kind=FailureKind.AUTH,
        error="log in",
    ),
    Case(
        why="a limit that it went over is its own fault, whatever was closed behind it",
        ending=Ending(state=State.FAILED, kind=FailureKind.OOM, error="too much"),
        seen=ALONE,
        state=State.FAILED,
        kind=FailureKind.OOM,
        error="too much",
    ),
    Case(
        why="whoever cancelled it did so before",
        ending=Ending(state=State.CANCELLED, kind=FailureKind.CANCELLED, error="cancelled"),
        stop=Stop.CANCEL,
        seen=ALONE,
        state=State.CANCELLED,
        kind=FailureKind.CANCELLED,
        error="cancelled",
    ),
    Case(
        why="who typed did not get on",
        stop=Stop.STRANDED,
        seen=replace(SEEN, trouble=Stranded(FailureKind.PROTOCOL, "it shows no prompt")),
        state=State.FAILED,
        kind=FailureKind.PROTOCOL,
        error="it shows no prompt",
    ),
    Case(
        why="a key in an attached terminal stopped the turn: a person's wish, no failure",
        ending=SAYS_INTERRUPTED,
        seen=FINAL,
        state=State.CANCELLED,
        kind=FailureKind.CANCELLED,
        error="stopped at its terminal by a key; its CLI says: [Request interrupted by user]",
    ),
    Case(
        why="the same where its CLI did not leave in time",
        ending=SAYS_INTERRUPTED,
        stop=Stop.LINGER,
        seen=FINAL,
        state=State.CANCELLED,
        kind=FailureKind.CANCELLED,
        error="stopped at its terminal by a key; its CLI says: [Request interrupted by user]",
    ),
    Case(
        why="at a question the same key, and the same words, say no to it",
        ending=SAYS_INTERRUPTED,
        seen=replace(FINAL, was_asking=True),
        state=State.FAILED,
        kind=FailureKind.PERMISSION,
        error="a permission that it asked for was refused; its CLI says: [Request interrupted by user]",
    ),
    Case(
        why="it was ours to stop it: its deadline had come",
        ending=Ending(state=State.TIMEOUT, kind=FailureKind.TIMEOUT, error="still running"),
        stop=Stop.TIMEOUT,
        seen=FINAL,
        state=State.TIMEOUT,
        kind=FailureKind.TIMEOUT,
        error="still running",
    ),
    Case(
        why="nobody goes on typing for a broker that is gone",
        ending=Ending(state=State.LOST, kind=FailureKind.LOST, error="a dialogue"),
        stop=Stop.ORPHANED,
        state=State.LOST,
        kind=FailureKind.LOST,
        error=ORPHANED,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_how_it_ended(case: Case) -> None:
    """State, kind and what a person reads; and whether the prompt was typed."""
    found = explain(case.ending, case.stop, case.seen)
    assert (found.state, found.kind, found.error) == (case.state, case.kind, case.error)
    assert found.was_typed is case.seen.was_typed
