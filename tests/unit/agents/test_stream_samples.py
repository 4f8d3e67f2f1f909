"""Recorded runs of the real Claude Code, and what each comes to."""

from __future__ import annotations

import pytest

from kokino.agents.drivers.contract import Exit, Usage
from kokino.agents.drivers.stream_json import StreamJsonReader
from kokino.agents.failures import FailureKind
from tests.unit.agents.streams import Case, comes_to, reader_after, samples_of, stdout_of

OK = Exit(code=0)
FAILED = Exit(code=1)


CASES = (
    Case(sample="streamjson", why="a plain answer", exit=OK, kind=None, says="MOCK-OK turns=2"),
    Case(sample="json", why="the result alone is proof", exit=OK, kind=None, says="MOCK-OK turns=2"),
    Case(sample="new-json", why="a newer version has another key order", exit=OK, kind=None, says="MOCK-OK"),
    Case(sample="resume", why="a second turn", exit=OK, kind=None, says="second message"),
    Case(sample="partial-stream", why="the answer came in pieces first", exit=OK, kind=None, says="MOCK-OK"),
    Case(sample="tool-allowed-stream", why="a tool ran", exit=OK, kind=None, says="MOCK-OK turns=4"),
    Case(sample="tool-denied-stream", why="a denied tool is no failure", exit=OK, kind=None, says="MOCK-OK"),
    Case(
        sample="err-e401-stream", why="killed while it retried: the retries tell the reason",
        exit=Exit(signal=9), kind=FailureKind.AUTH, says="SIGKILL",
    ),
    Case(
        sample="err-e429-retries0", why="'success' with is_error is an error",
        exit=FAILED, kind=FailureKind.RATE_LIMIT, says="Request rejected (429)",
    ),
    Case(
        sample="err-e500-retries2-stream", why="the service is down",
        exit=FAILED, kind=FailureKind.NETWORK, says="API Error: 500",
    ),
    Case(
        sample="err-e529-default-stream", why="overload is known by its text: the status is null",
        exit=FAILED, kind=FailureKind.RATE_LIMIT, says="529 Overloaded",
    ),
    Case(
        sample="resume-bad-uuid-stream", why="the session is unknown, by record and by stderr",
        exit=FAILED, kind=FailureKind.PROTOCOL, says="No conversation found", is_alive=False,
    ),
    Case(
        sample="resume-not-uuid", why="stderr alone tells it",
        exit=FAILED, kind=FailureKind.PROTOCOL, says="requires a valid session ID", is_alive=False,
    ),
    Case(
        sample="session-id-reused-stream", why="an id once used can begin no session",
        exit=FAILED, kind=FailureKind.PROTOCOL, says="already in use", is_alive=False,
    ),
    Case(
        sample="sigINT-stream", why="it exits with 0 though it was interrupted",
        exit=OK, kind=FailureKind.CANCELLED, says="ede_diagnostic",
    ),
    Case(
        sample="sigTERM-stream", why="it goes without a word",
        exit=Exit(code=143), kind=FailureKind.CRASH, says="exited with code 143 without a result",
    ),
    Case(
        sample="skipperm-root", why="it refuses the flag",
        exit=FAILED, kind=FailureKind.PERMISSION, says="cannot be used with root",
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sample)
def test_a_recorded_run_comes_to_its_outcome(case: Case) -> None:
    """Kind, text and whether the session lives on are read as the table says."""
    comes_to(case, StreamJsonReader(), "claude")


def test_every_recorded_run_is_in_the_table() -> None:
    """No sample lies about unread."""
    assert samples_of("claude") == sorted(case.sample for case in CASES)


@pytest.mark.parametrize("sample", ["streamjson", "tool-allowed-stream", "partial-stream"])
def test_success_is_never_claimed_before_the_result_record_is_whole(sample: str) -> None:
    """Cut at any byte the stream is no success, whatever the exit code says, and nothing raises."""
    whole = stdout_of(sample).rstrip(b"\n")
    for end in range(len(whole)):
        reader = reader_after(whole[:end])
        assert not reader.is_final
        assert reader.outcome(OK).kind is FailureKind.PROTOCOL
    assert reader_after(whole).outcome(OK).kind is None


def test_the_bill_of_a_run_with_a_tool() -> None:
    """Usage, cost, session and version are the CLI's own figures."""
    reader = reader_after(stdout_of("tool-allowed-stream"))
    outcome = reader.outcome(OK)
    assert outcome.usage == Usage(input_tokens=22, output_tokens=14)
    assert outcome.cost_usd == pytest.approx(0.00046)
    assert reader.session_id == "4abd6c4e-c8bf-4f1d-b9ec-cd8ca6e7dc74"
    assert reader.version == "2.1.197"


def test_a_tool_is_known_to_run_between_its_two_records() -> None:
    """Silence counts as a tool at work from the tool_use to its tool_result only."""
    reader = reader_after(b"")
    seen = []
    for line in stdout_of("tool-allowed-stream").splitlines():
        reader.stdout(line)
        seen.append(reader.tools.running is not None)
    assert seen == [False, True, False, False, False]


def test_an_interrupted_run_keeps_what_was_streamed() -> None:
    """The content of a failure is what the model had said, without the CLI's own words."""
    outcome = reader_after(stdout_of("sigINT-stream")).outcome(OK)
    assert outcome.content == "word0 word1 word2 word3 word4 "
