"""Recorded dialogues of real agents, and what each comes to."""

from __future__ import annotations

import pytest

from kokino.agents.drivers.acp.dialogue import AcpDialogue
from kokino.agents.drivers.contract import Exit, Usage
from kokino.agents.failures import FailureKind
from kokino.executions.output.lines import LineSplitter
from tests.unit.agents.streams import Case, fed, samples_of, stdout_of

OK = Exit(code=0)
OPENCODE, QWEN = "ses_de88947b4ffeVZOsjrfvtGWkIE", "6ad152fb-9347-4c12-819a-97b88a3a8145"
UNKNOWN_OPENCODE, UNKNOWN = "ses_ffffffffffffffffffffffffff", "6cf0e9f2-0000-4000-8000-000000000000"
CANCELLED, AUTH = FailureKind.CANCELLED, FailureKind.AUTH

VERSIONS = {"gemini": "0.61.0", "opencode": "1.18.33", "qwen": "0.15.10"}

CASES = (
    Case(sample="gemini-turn", why="a plain answer", exit=OK, kind=None, says="remember the heron"),
    Case(
        sample="gemini-unknown-session", why="it says so at length, and gets a new one",
        exit=OK, kind=None, says="It was a heron.", resumes=UNKNOWN,
    ),
    Case(sample="gemini-tool-allow", why="a tool ran", exit=OK, kind=None, says="Done."),
    Case(sample="gemini-tool-reject", why="it goes on without it", exit=OK, kind=None, says="Done."),
    Case(
        sample="gemini-err-e401", why="the code is the status of the service",
        exit=OK, kind=AUTH, says="UNAUTHENTICATED",
    ),
    Case(sample="opencode-turn", why="a plain answer", exit=OK, kind=None, says="remember the heron"),
    Case(
        sample="opencode-load", why="the history is told before the answer to load",
        exit=OK, kind=None, says="It was a heron.", resumes=OPENCODE,
    ),
    Case(
        sample="opencode-unknown-session", why="a new session takes its place",
        exit=OK, kind=None, says="It was a heron.", resumes=UNKNOWN_OPENCODE,
    ),
    Case(sample="opencode-tool-allow", why="a tool ran", exit=OK, kind=None, says="Done."),
    Case(sample="opencode-tool-reject", why="a rejected tool ends the turn", exit=OK, kind=None, says=""),
    Case(sample="opencode-cancel", why="cancelled in mid-tool", exit=OK, kind=CANCELLED, says="cancelled"),
    Case(sample="opencode-asked-cancel", why="while it asked", exit=OK, kind=CANCELLED, says="cancelled"),
    Case(
        sample="opencode-err-e401", why="it tells neither status nor cause",
        exit=OK, kind=FailureKind.UNKNOWN, says="refused by the model server",
    ),
    Case(sample="qwen-turn", why="a plain answer", exit=OK, kind=None, says="remember the heron"),
    Case(
        sample="qwen-load", why="the history is told before the answer to load",
        exit=OK, kind=None, says="It was a heron.", resumes=QWEN,
    ),
    Case(
        sample="qwen-unknown-session", why="it takes any id for its own and says nothing of it",
        exit=OK, kind=None, says="It was a heron.", resumes=UNKNOWN,
    ),
    Case(sample="qwen-tool-allow", why="a tool ran", exit=OK, kind=None, says="Done."),
    Case(sample="qwen-tool-reject", why="it goes on without it", exit=OK, kind=None, says="Done."),
    Case(sample="qwen-cancel", why="cancelled in mid-tool", exit=OK, kind=CANCELLED, says="cancelled"),
    Case(sample="qwen-asked-cancel", why="while it asked", exit=OK, kind=CANCELLED, says="cancelled"),
    Case(sample="qwen-err-e401", why="the status is in the details", exit=OK, kind=AUTH, says="401 refused"),
)  # fmt: skip


def read(case: Case) -> AcpDialogue:
    """A dialogue that has read the whole run."""
    return fed(AcpDialogue(case.resumes), stdout_of(case.sample, "acp"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sample)
def test_a_recorded_dialogue_comes_to_its_outcome(case: Case) -> None:
    """Kind, text and version are read as the table says, and there is nothing in it that we do not know."""
    dialogue = read(case)
    outcome = dialogue.outcome(case.exit)
    assert case.kind == outcome.kind, case.why
    assert case.says in (outcome.content if case.kind is None else outcome.error or "")
    # A permission that a reader can only see asked for is neither unknown nor a tool that runs.
    assert dialogue.unknown_records == dialogue.garbage_lines == 0
    assert dialogue.tools.running is None
    assert dialogue.version == VERSIONS[case.sample.partition("-")[0]]


def test_every_recorded_dialogue_is_in_the_table() -> None:
    """No sample lies about unread."""
    assert samples_of("acp") == sorted(case.sample for case in CASES)


@pytest.mark.parametrize("case", [case for case in CASES if case.kind is None], ids=lambda case: case.sample)
def test_success_is_never_claimed_before_the_answer_is_whole(case: Case) -> None:
    """Cut before the answer to the prompt, or at any byte of it, the dialogue is no success."""
    lines = stdout_of(case.sample, "acp").splitlines()
    at = next(number for number, line in enumerate(lines) if b'"stopReason"' in line)
    before = AcpDialogue(case.resumes)
    for line in lines[:at]:
        before.stdout(line)
        assert before.outcome(OK).kind is FailureKind.PROTOCOL
    for end in range(len(lines[at])):
        cut = fed(AcpDialogue(case.resumes), b"\n".join([*lines[:at], lines[at][:end]]))
        assert cut.outcome(OK).kind is FailureKind.PROTOCOL
    assert read(case).outcome(OK).kind is None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sample)
def test_a_stream_comes_to_the_same_wherever_it_is_cut(case: Case) -> None:
    """Lines are put together again, byte by byte."""
    splitter, dialogue = LineSplitter(), AcpDialogue(case.resumes)
    stdout = stdout_of(case.sample, "acp")
    for place in range(len(stdout)):
        for line in splitter.feed(stdout[place : place + 1]):
            dialogue.stdout(line.body)
    for line in splitter.finish():
        dialogue.stdout(line.body)
    assert dialogue.outcome(OK) == read(case).outcome(OK)


def test_what_opencode_took() -> None:
    """Tokens of the turn, and dollars of the session: twice as many after the second turn."""
    first, second = (
        fed(AcpDialogue(resumes), stdout_of(sample, "acp")).outcome(OK)
        for sample, resumes in (("opencode-turn", None), ("opencode-load", OPENCODE))
    )
    expected = Usage(input_tokens=8, output_tokens=5, cache_read_tokens=3)
    assert first.usage == second.usage == expected
    assert first.cost_usd == pytest.approx(0.000129)
    assert second.cost_usd == pytest.approx(0.000258)


def test_a_session_that_opencode_does_not_know_is_replaced_and_that_is_told() -> None:
    """Its words for it name no session."""
    case = next(case for case in CASES if case.sample == "opencode-unknown-session")
    dialogue = read(case)
    assert dialogue.session_id not in {None, UNKNOWN_OPENCODE}
    assert "OpenCode service failure" in str(dialogue.outcome(OK).began_anew)
