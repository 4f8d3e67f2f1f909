"""Whether a failed execution is tried once more: a table of cases, each with the reason why it is there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from kokino.agents.drivers.stream_json import StreamJsonReader
from kokino.agents.drivers.terminal.screen import ScreenReader
from kokino.agents.failures import FailureKind
from kokino.executions.attempts.again import LONGEST_PAUSE, Again, Cause, decide
from kokino.executions.model import Ending, Execution, State

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
NETWORK = Ending(state=State.FAILED, kind=FailureKind.NETWORK, error="no route")
FORGOTTEN = Ending(state=State.FAILED, kind=FailureKind.PROTOCOL, error="No conversation found")


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is known of the last try, and what follows."""

    why: str
    ending: Ending = NETWORK
    session_is_alive: bool = True
    tools: int = 0
    retries: dict[FailureKind, int] = field(default_factory=dict)
    replaced: int = 0
    retried: int = 0
    left: timedelta = timedelta(minutes=5)
    cause: Cause | None = None
    reader: type[StreamJsonReader | ScreenReader] = StreamJsonReader
    pause: timedelta = timedelta(0)


CASES = [
    Case(why="nothing is tried again that nobody configured: CLIs have tried for minutes themselves"),
    Case(
        why="a kind with a try left is tried after a pause",
        retries={FailureKind.NETWORK: 1},
        cause=Cause.RETRY,
        pause=timedelta(seconds=5),
    ),
    Case(why="its tries are used up", retries={FailureKind.NETWORK: 1}, retried=1),
    Case(
        why="each pause is twice as long as the one before",
        retries={FailureKind.NETWORK: 4},
        retried=3,
        cause=Cause.RETRY,
        pause=timedelta(seconds=40),
    ),
    Case(
        why="and no longer than the longest",
        retries={FailureKind.NETWORK: 10},
        retried=9,
        cause=Cause.RETRY,
        pause=LONGEST_PAUSE,
    ),
    Case(why="another kind's tries are not its own", retries={FailureKind.RATE_LIMIT: 3}),
    Case(why="a tool ran: it may have changed something", retries={FailureKind.NETWORK: 3}, tools=1),
    Case(
        why="the deadline would cut the try off before it began",
        retries={FailureKind.NETWORK: 1},
        left=timedelta(seconds=5),
    ),
    Case(
        why="a session that the CLI has forgotten is replaced at once, without being configured",
        ending=FORGOTTEN,
        session_is_alive=False,
        cause=Cause.SESSION,
    ),
    Case(
        why="a session that died beside a failure of the account's is replaced by the next execution",
        ending=Ending(state=State.FAILED, kind=FailureKind.AUTH, error="no"),
        session_is_alive=False,
    ),
    Case(
        why="but once only: a CLI that knows no new session either is broken",
        ending=FORGOTTEN,
        session_is_alive=False,
        replaced=1,
    ),
    Case(
        why="a forgotten session in which a tool ran is not repeated",
        ending=FORGOTTEN,
        session_is_alive=False,
        tools=2,
    ),
    Case(
        why="a prompt that was typed into a terminal may have been worked on, whatever failed then",
        ending=replace(NETWORK, was_typed=True),
        retries={FailureKind.NETWORK: 3},
    ),
    Case(
        why="nor is it typed again for a session that is not known",
        ending=replace(FORGOTTEN, was_typed=True),
        session_is_alive=False,
    ),
    Case(
        why="a screen does not tell that a session is forgotten: nobody knows what it is called",
        ending=FORGOTTEN,
        session_is_alive=False,
        reader=ScreenReader,
    ),
    Case(why="who was cancelled stays so", ending=Ending(state=State.CANCELLED, kind=FailureKind.CANCELLED)),
    Case(
        why="a timeout has used its time",
        ending=Ending(state=State.TIMEOUT, kind=FailureKind.NETWORK),
        retries={FailureKind.NETWORK: 1},
    ),
    Case(why="success", ending=Ending(state=State.COMPLETED), retries={FailureKind.NETWORK: 1}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_another_try(case: Case) -> None:
    """The cause and the pause, or none."""
    reader = case.reader()
    for number in range(case.tools):
        reader.tools.begin(str(number), "Bash")
    execution = Execution(
        execution_id="exec-1",
        number=1,
        agent_id="writer",
        cli_type="claude-code",
        account="a",
        mode="headless",
        pool="default",
        state=State.RUNNING,
        prompt="Say hello.",
        timeout=case.left,
        queue_timeout=timedelta(minutes=5),
        queued_at=NOW - timedelta(hours=1),
        started_at=NOW,
        replaced=case.replaced,
        retried=case.retried,
    )
    found = decide(
        execution,
        case.ending,
        reader,
        session_is_alive=case.session_is_alive,
        retries=case.retries,
        now=NOW,
    )
    if case.cause is None:
        assert found is None
    else:
        assert isinstance(found, Again)
        assert (found.cause, found.pause) == (case.cause, case.pause)
        assert str(case.ending.error) in found.reason
