"""Recorded runs of the real Qwen Code, and where its records differ from Claude Code's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.agents.drivers.contract import Exit, Invocation, Usage
from kokino.agents.drivers.qwen import Qwen, QwenReader
from kokino.agents.failures import FailureKind
from tests.unit.agents.streams import Case, comes_to, fed, samples_of, stdout_of

OK = Exit(code=0)
FAILED = Exit(code=1)
SESSION = "0cc200e3-e259-4790-8def-37eb995a5c96"

CASES = (
    Case(sample="streamjson", why="a plain answer", exit=OK, kind=None, says="MOCK-OK turns=4"),
    Case(sample="json", why="the same records in an array", exit=OK, kind=None, says="MOCK-OK turns=4"),
    Case(sample="tool-allowed-stream", why="a tool ran", exit=OK, kind=None, says="It ran."),
    Case(sample="tool-denied-stream", why="a tool may be denied", exit=OK, kind=None, says="may not run"),
    Case(
        sample="helper-failed-stream", why="the result of a failed helper is not the run's",
        exit=OK, kind=None, says="The helper failed.",
    ),
    Case(
        sample="err-e401", why="in an array, too",
        exit=OK, kind=FailureKind.AUTH, says="[API Error: 401 mock error 401]",
    ),
    Case(
        sample="err-e401-stream", why="'success', exit 0, and still a refusal",
        exit=OK, kind=FailureKind.AUTH, says="[API Error: 401 mock error 401]",
    ),
    Case(
        sample="err-e500-stream", why="after 105 s of silence",
        exit=OK, kind=FailureKind.NETWORK, says="[API Error: 500 mock error 500]",
    ),
    Case(
        sample="err-e400-context-stream", why="the sentence knows more than the status",
        exit=OK, kind=FailureKind.CONTEXT_LENGTH, says="maximum context length",
    ),
    Case(
        sample="err-drop-stream", why="the failure stands behind half an answer",
        exit=OK, kind=FailureKind.NETWORK, says="[API Error: terminated (cause: other side closed)]",
    ),
    Case(sample="no-auth-stream", why="no login", exit=FAILED, kind=FailureKind.AUTH, says="No auth type"),
    Case(
        sample="max-turns-stream", why="stderr and the exit code tell it",
        exit=Exit(code=53), kind=FailureKind.MAX_TURNS, says="Reached max session turns",
    ),
    Case(
        sample="resume-unknown-stream", why="the session is unknown",
        exit=FAILED, kind=FailureKind.PROTOCOL, says="No saved session found", is_alive=False,
    ),
    Case(
        sample="session-id-not-uuid-stream", why="the first line knows, the help that follows does not",
        exit=FAILED, kind=FailureKind.PROTOCOL, says="Must be a valid UUID", is_alive=False,
    ),
)  # fmt: skip


def lines_of(sample: str) -> bytes:
    """The records of a run, one per line; of those that were recorded as an array, too."""
    stdout = stdout_of(sample, "qwen")
    if not stdout.startswith(b"["):
        return stdout
    return b"".join(line(**record) for record in json.loads(stdout))


def line(**record: Any) -> bytes:
    """A record as a line."""
    return json.dumps(record).encode() + b"\n"


def said(text: str, *, paid: int = 0, parent: str | None = None) -> bytes:
    """A message, as the model's service counted it."""
    content = [{"type": "text", "text": text}]
    usage = {"input_tokens": paid, "output_tokens": paid}
    return line(type="assistant", parent_tool_use_id=parent, message={"content": content, "usage": usage})


def result(text: str, **more: Any) -> bytes:
    """A result record, successful by its own account."""
    return line(**{"type": "result", "subtype": "success", "is_error": False, "result": text, **more})


def invocation(**more: Any) -> Invocation:
    """A first turn without any choice made."""
    fields = {"agent_id": "a", "command": ("qwen",), "session_id": SESSION, "is_resume": False}
    return Invocation(**{**fields, "prompt_file": Path("/spool/prompt"), **more})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sample)
def test_a_recorded_run_comes_to_its_outcome(case: Case) -> None:
    """Kind, text and whether the session lives on are read as the table says."""
    comes_to(case, QwenReader(), "qwen", lines_of(case.sample))


def test_every_recorded_run_is_in_the_table() -> None:
    """No sample lies about unread."""
    assert samples_of("qwen") == sorted(case.sample for case in CASES)


def test_a_session_begins_with_the_prompt_on_standard_input() -> None:
    """The first turn names its session; no flag is there that nobody configured."""
    command = Qwen().command(invocation())
    assert command.argv == ("qwen", "--output-format", "stream-json", "--session-id", SESSION)
    assert command.stdin == Path("/spool/prompt")
    assert command.env == {"QWEN_CODE_NO_RELAUNCH": "1"}


def test_a_session_is_resumed_with_model_and_flags() -> None:
    """Later turns resume; the configured flags come last."""
    flags = ("--approval-mode", "auto-edit")
    argv = Qwen().command(invocation(is_resume=True, model="qwen3-coder", flags=flags)).argv
    assert argv[3:] == ("--resume", SESSION, "--model", "qwen3-coder", *flags)


@pytest.mark.parametrize(
    ("flags", "skips"),
    [
        ((), False),
        (("--approval-mode", "auto-edit"), False),
        (("--allowed-tools", "read_file"), False),
        (("--yolo",), True),
        (("-y",), True),
        (("-dy",), True),
        (("--approval-mode", "yolo"), True),
        (("--approval-mode=yolo",), True),
    ],
)
def test_flags_that_skip_permissions_are_known(flags: tuple[str, ...], skips: bool) -> None:
    """Whatever makes it ask nobody."""
    assert Qwen().skips_permissions(flags) is skips


def test_half_a_prompt_is_no_success() -> None:
    """It says on standard error that it cut its input, and works on what is left."""
    cut = b"Warning: stdin input truncated to 8388608 bytes.\n"
    outcome = fed(QwenReader(), result("done"), cut).outcome(OK)
    assert (outcome.kind, outcome.content) == (FailureKind.CONTEXT_LENGTH, "done")
    assert "only the beginning of the prompt" in (outcome.error or "")


def test_the_bill_of_a_session_is_its_own_sum() -> None:
    """Figures are the CLI's own; cached tokens are taken from the input that holds them."""
    reader = fed(QwenReader(), lines_of("streamjson"))
    outcome = reader.outcome(OK)
    assert outcome.usage == Usage(input_tokens=16, output_tokens=14, cache_read_tokens=6)
    assert outcome.counts_session
    assert (reader.version, reader.session_id) == ("0.15.10", SESSION)


def test_a_tool_is_known_to_run_between_its_two_records() -> None:
    """A helper that fails meanwhile ends nothing."""
    reader, seen = QwenReader(), []
    for record in lines_of("helper-failed-stream").splitlines():
        reader.stdout(record)
        seen.append((reader.tools.running is not None, reader.is_final))
    assert seen == [
        (False, False),
        (True, False),
        (True, False),
        (True, False),
        *[(False, False)] * 2,
        (False, True),
    ]


def test_a_failure_is_known_before_the_result_and_is_no_part_of_the_answer() -> None:
    """What the CLI says in the model's place is told apart from what the model had said."""
    reader = fed(
        QwenReader(), said("half an ans[API Error: 429 slow down]\nPossible quota limitations in place.")
    )
    assert reader.early_kind is FailureKind.RATE_LIMIT
    killed = reader.outcome(Exit(signal=9))
    assert (killed.kind, killed.content) == (FailureKind.RATE_LIMIT, "half an ans")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[API Error: 403 no]", FailureKind.AUTH),
        ("[API Error: Incorrect API key provided]", FailureKind.AUTH),
        ("[API Error: 429 slow]\nPlease wait and try again later.", FailureKind.RATE_LIMIT),
        ("[API Error: 429 You exceeded your current quota]\nPossible quota limitations", FailureKind.QUOTA),
        ("[API Error: 402 Insufficient Balance]", FailureKind.QUOTA),
        ("[API Error: busy (Status: 503)]", FailureKind.NETWORK),
        ("[API Error: Connection error. (cause: fetch failed)]", FailureKind.NETWORK),
        ("[API Error: 400 Range of input length should be [1, 30720]]", FailureKind.CONTEXT_LENGTH),
        ("[API Error: something new]", FailureKind.UNKNOWN),
        ("Qwen OAuth quota exceeded: come back tomorrow", FailureKind.QUOTA),
        ("Qwen OAuth free tier has been discontinued as of 2026-04-15.", FailureKind.AUTH),
    ],
)
def test_a_result_that_tells_a_failure_gets_the_kind_of_its_words_then_of_the_status_in_them(
    text: str, kind: FailureKind
) -> None:
    """With or without the message before it, a result that calls itself a success is none."""
    for stdout in (result(text), said(text) + result(text)):
        outcome = fed(QwenReader(), stdout).outcome(OK)
        assert (outcome.kind, outcome.content) == (kind, ""), outcome.error
        assert outcome.error == " ".join(text.split())


@pytest.mark.parametrize(
    ("why", "stdout"),
    [
        ("the model was paid for the words", said("It says [API Error: 500]", paid=7)),
        ("it goes on behind them", said("[API Error: 500] means that the service is down.")),
        ("a helper's words are its own", said("[API Error: 500]", parent="t") + said("done")),
        ("another message came after it", said("[API Error: 500]") + said("done")),
    ],
)
def test_an_answer_may_quote_a_failure(why: str, stdout: bytes) -> None:
    """What the model itself wrote proves nothing against it."""
    text = json.loads(stdout.splitlines()[-1])["message"]["content"][0]["text"]
    outcome = fed(QwenReader(), stdout + result(text)).outcome(OK)
    assert (outcome.kind, outcome.content) == (None, text), why


def test_an_error_of_its_own_field_is_told() -> None:
    """Where the run itself failed, the text stands in another field than claude's."""
    record = result("", is_error=True, subtype="error_during_execution", error={"message": "Boom."})
    outcome = fed(QwenReader(), record).outcome(FAILED)
    assert (outcome.kind, outcome.error) == (FailureKind.UNKNOWN, "Boom.")


#: Values of every JSON type, some of them almost right.
_VALUES = st.sampled_from([
    None, True, 0, -1.5, "", "success", "[API Error: ", "[API Error: 99999999999999999999]", [], [1], {},
    {"message": 3}, {"content": 3}, {"content": [{"type": "text"}], "usage": 3},
    {"content": [{"type": "text", "text": "[API Error: ]"}]},
])  # fmt: skip
_RECORDS = st.fixed_dictionaries(
    {"type": st.sampled_from(["system", "assistant", "user", "result"])},
    optional=dict.fromkeys(("subtype", "message", "result", "error", "errors", "usage"), _VALUES),
)


@given(st.lists(st.one_of(st.binary(max_size=200), _RECORDS.map(lambda record: line(**record))), max_size=6))
def test_no_bytes_and_no_shape_of_a_known_record_break_the_reader(lines: list[bytes]) -> None:
    """Nothing ever raises, and without is_error there is no success."""
    reader = QwenReader()
    for data in lines:
        reader.stdout(data)
        reader.stderr(data)
    assert reader.outcome(OK).kind is not None
