"""How an execution ended: a table of cases, each with the reason why it is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from kokino.agents.drivers.contract import Exit, Outcome, Usage
from kokino.agents.drivers.tools import ToolCalls
from kokino.agents.failures import FailureKind
from kokino.agents.model import Limits
from kokino.executions.attempts.ending import decide
from kokino.executions.model import TRANSITIONS, State
from kokino.executions.stop import Stop
from kokino.process.model import Breach, Ended

WENT_WELL = Exit(code=0)
LIMITS = Limits(timeout=timedelta(seconds=90), memory_mb=64, processes=7, output_mb=3)
KILLED = Exit(signal=9)


@dataclass(kw_only=True)
class FakeReader:
    """A reader that has made up its mind: well where the exit is 0, unless it holds a failure."""

    session_id: str | None = None
    version: str | None = "2.1.197"
    is_final: bool = False
    tools: ToolCalls = field(default_factory=ToolCalls)
    early_kind: FailureKind | None = None
    unknown_records: int = 0
    failure: FailureKind | None = None

    def look(self) -> None:
        """Nothing to tell apart here."""

    def stdout(self, line: bytes) -> None:
        """Nothing to read here."""

    def stderr(self, line: bytes) -> None:
        """Nothing to read here."""

    def outcome(self, exit: Exit) -> Outcome:
        """Success needs an exit of 0, as with every driver."""
        kind = self.failure or (None if exit.code == 0 else FailureKind.CRASH)
        return Outcome(
            kind=kind,
            error=None if kind is None else f"it said {kind.value}",
            content="so far",
            usage=Usage(input_tokens=3, output_tokens=5),
            cost_usd=0.25,
        )


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is known, and what it comes to."""

    why: str
    failure: FailureKind | None = None
    early: FailureKind | None = None
    exit: Exit | None = WENT_WELL
    stop: Stop | None = None
    is_orphaned: bool = False
    is_final: bool = False
    breach: Breach | None = None
    state: State
    kind: FailureKind | None = None
    says: str | None = None

    @property
    def ended(self) -> Ended | None:
        """How its processes ended, as the keeper tells it; None where nobody saw it."""
        if self.exit is None:
            return None
        return Ended(
            code=self.exit.code,
            signal=self.exit.signal,
            was_stopped=self.is_orphaned or self.stop is not None,
            leftovers=0,
            breach=self.breach,
        )


CASES = [
    Case(
        why="what it said cannot be told from what it said before, once the file of its session was cut",
        exit=Exit(signal=15),
        stop=Stop.CUT,
        state=State.FAILED,
        kind=FailureKind.PROTOCOL,
        says="the file of its session was cut or written anew while it worked",
    ),
    Case(why="it proved its success and went", state=State.COMPLETED),
    Case(
        why="what the CLI says of itself is the kind",
        failure=FailureKind.AUTH,
        exit=Exit(code=1),
        state=State.FAILED,
        kind=FailureKind.AUTH,
        says="it said auth",
    ),
    Case(
        why="exit 0 without the driver's proof is a failure",
        failure=FailureKind.PROTOCOL,
        state=State.FAILED,
        kind=FailureKind.PROTOCOL,
        says="it said protocol",
    ),
    Case(
        why="a signal that nobody sent is a crash",
        exit=KILLED,
        state=State.FAILED,
        kind=FailureKind.CRASH,
        says="it said crash",
    ),
    Case(
        why="a cancelled CLI may exit 0 and claim success: what we did goes before what it says",
        stop=Stop.CANCEL,
        state=State.CANCELLED,
        kind=FailureKind.CANCELLED,
        says="cancelled",
    ),
    Case(
        why="a stop of the broker is nobody's failure, and says so",
        exit=KILLED,
        stop=Stop.SHUTDOWN,
        state=State.CANCELLED,
        kind=FailureKind.CANCELLED,
        says="the broker was stopped before it ended",
    ),
    Case(
        why="over its wall deadline",
        exit=KILLED,
        stop=Stop.TIMEOUT,
        state=State.TIMEOUT,
        kind=FailureKind.TIMEOUT,
        says="still running after 90s, its deadline",
    ),
    Case(
        why="over its idle deadline",
        exit=KILLED,
        stop=Stop.IDLE,
        state=State.TIMEOUT,
        kind=FailureKind.IDLE_TIMEOUT,
        says="no output for 2m, its idle deadline (limits.idle)",
    ),
    Case(
        why="a CLI that retries a refused login until its deadline has a login problem, not a slow model",
        early=FailureKind.AUTH,
        exit=KILLED,
        stop=Stop.TIMEOUT,
        state=State.TIMEOUT,
        kind=FailureKind.AUTH,
        says="its records tell of auth",
    ),
    Case(
        why="it had said its last word and was ended for not going: the signal is ours, not its fault",
        exit=KILLED,
        stop=Stop.LINGER,
        state=State.COMPLETED,
    ),
    Case(
        why="a last word that tells of a failure is one, however long it stayed",
        failure=FailureKind.QUOTA,
        exit=KILLED,
        stop=Stop.LINGER,
        state=State.FAILED,
        kind=FailureKind.QUOTA,
        says="it said quota",
    ),
    Case(
        why="nobody saw how it ended",
        exit=None,
        state=State.LOST,
        kind=FailureKind.LOST,
        says="went away before it ended",
    ),
    Case(
        why="a tree that its keeper ended for want of a broker did not crash",
        failure=FailureKind.CRASH,
        exit=KILLED,
        is_orphaned=True,
        state=State.LOST,
        kind=FailureKind.LOST,
    ),
    Case(
        why="a tree that was ended for want of a broker may have finished its work before",
        is_orphaned=True,
        state=State.COMPLETED,
    ),
    Case(
        why="a dialogue ends with its broker, however its agent goes then",
        stop=Stop.ORPHANED,
        state=State.LOST,
        kind=FailureKind.LOST,
        says="a dialogue by the Agent Client Protocol ends with its broker",
    ),
    Case(
        why="a dialogue that had come to its end before its broker did has its answer",
        exit=KILLED,
        stop=Stop.ORPHANED,
        is_final=True,
        state=State.COMPLETED,
    ),
    Case(
        why="and so has one that had failed by then",
        failure=FailureKind.AUTH,
        exit=KILLED,
        stop=Stop.ORPHANED,
        is_final=True,
        state=State.FAILED,
        kind=FailureKind.AUTH,
        says="it said auth",
    ),
    Case(
        why="its tree took too much memory: no claim that it makes counts after that",
        exit=KILLED,
        breach=Breach.MEMORY,
        state=State.FAILED,
        kind=FailureKind.OOM,
        says="took more than 64 MiB of memory (limits.memory_mb)",
    ),
    Case(
        why="its tree had too many processes",
        exit=KILLED,
        breach=Breach.PROCESSES,
        state=State.FAILED,
        kind=FailureKind.PROCESS_LIMIT,
        says="ran more than 7 processes at a time (limits.processes)",
    ),
    Case(
        why="its output filled its part of the disk",
        exit=KILLED,
        breach=Breach.OUTPUT,
        state=State.FAILED,
        kind=FailureKind.OUTPUT_LIMIT,
        says="wrote more than 3 MiB (limits.output_mb)",
    ),
    Case(
        why="its records filled their part of the database",
        exit=KILLED,
        stop=Stop.OUTPUT,
        state=State.FAILED,
        kind=FailureKind.OUTPUT_LIMIT,
        says="the rest is not recorded",
    ),
    Case(
        why="what it takes after its last word takes nothing back",
        is_final=True,
        exit=KILLED,
        stop=Stop.LINGER,
        breach=Breach.MEMORY,
        state=State.COMPLETED,
    ),
    Case(
        why="a last word that tells of a failure stays one, whatever it takes after it",
        is_final=True,
        failure=FailureKind.AUTH,
        exit=KILLED,
        breach=Breach.MEMORY,
        state=State.FAILED,
        kind=FailureKind.AUTH,
        says="it said auth",
    ),
    Case(
        why="who cancelled it does not care what it took",
        exit=KILLED,
        stop=Stop.CANCEL,
        breach=Breach.PROCESSES,
        state=State.CANCELLED,
        kind=FailureKind.CANCELLED,
    ),
    Case(
        why="somebody asked for its end before it was lost from sight: that is what counts",
        exit=None,
        stop=Stop.CANCEL,
        state=State.CANCELLED,
        kind=FailureKind.CANCELLED,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_the_end_of_an_execution(case: Case) -> None:
    """One state, one kind, one line for a person."""
    reader = FakeReader(failure=case.failure, early_kind=case.early, is_final=case.is_final)
    ending = decide(reader, case.ended, case.stop, LIMITS)
    assert (ending.state, ending.kind) == (case.state, case.kind)
    assert (ending.error is None) == (case.state is State.COMPLETED)
    assert (case.says or "") in (ending.error or "")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_what_was_said_and_used_is_kept_whatever_the_end(case: Case) -> None:
    """A person wants to see how far it got, and what it cost; the real exit is shown, not the judged one."""
    reader = FakeReader(failure=case.failure, early_kind=case.early, is_final=case.is_final)
    ending = decide(reader, case.ended, case.stop, LIMITS)
    assert (ending.content, ending.cost_usd, ending.cli_version) == ("so far", 0.25, "2.1.197")
    assert dict(ending.usage or {}) == {
        "inputTokens": 3,
        "outputTokens": 5,
        "cacheReadTokens": 0,
        "cacheWriteTokens": 0,
    }
    seen = case.exit or Exit()
    assert (ending.exit_code, ending.exit_signal) == (seen.code, seen.signal)


def test_every_end_that_is_decided_can_follow_running() -> None:
    """No table contradicts the other."""
    assert {case.state for case in CASES} <= TRANSITIONS[State.RUNNING]


def test_nothing_leaves_an_end() -> None:
    """Six of the eight states are ends, and each can be reached."""
    ends = {state for state in State if state.is_end}
    assert ends == set(State) - set(TRANSITIONS)
    assert ends == set().union(*TRANSITIONS.values()) - {State.RUNNING, State.QUEUED}
