"""Recorded runs of the real Gemini CLI, and what its records come to beyond those."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.agents.drivers.contract import Exit, Invocation, Usage
from kokino.agents.drivers.gemini import Gemini, GeminiReader
from kokino.agents.failures import FailureKind
from tests.unit.agents.streams import Case, comes_to, fed, samples_of, stdout_of

OK = Exit(code=0)
INPUT = Exit(code=42)
KILLED = Exit(signal=9)
SESSION = "4abd6c4e-c8bf-4f1d-b9ec-cd8ca6e7dc75"

CASES = (
    Case(sample="streamjson", why="a plain answer", exit=OK, kind=None, says="MOCK-OK turns=1"),
    Case(sample="tool-yolo", why="a tool ran", exit=OK, kind=None, says="MOCK-OK turns=3"),
    Case(
        sample="half", why="it tells of an error and exits with 0; the answer came four times over",
        exit=OK, kind=FailureKind.NETWORK, says="ended without a finish reason",
    ),
    Case(
        sample="loop", why="it breaks off, and calls it a success",
        exit=OK, kind=FailureKind.MAX_TURNS, says="Loop detected",
    ),
    Case(
        sample="overflow", why="a prompt of 5 MB: it asks no model, and calls that a success",
        exit=OK, kind=FailureKind.CONTEXT_LENGTH, says="does not fit the model", is_alive=False,
    ),
    Case(
        sample="max-turns", why="a limit of its own",
        exit=Exit(code=53), kind=FailureKind.MAX_TURNS, says="max session turns",
    ),
    Case(
        sample="err-e401-stream", why="the status stands in the text; no answer, so no session",
        exit=Exit(code=145), kind=FailureKind.AUTH, says="mock error 401", is_alive=False,
    ),
    Case(
        sample="err-e500", why="after ten tries in four minutes",
        exit=Exit(code=244), kind=FailureKind.NETWORK, says="refused by the model server", is_alive=False,
    ),
    Case(
        sample="err-quota", why="of a used-up day the service says more than of a minute",
        exit=Exit(code=173), kind=FailureKind.QUOTA, says="daily quota", is_alive=False,
    ),
    Case(
        sample="err-capacity", why="it would wait for five hours, and tells so at once",
        exit=KILLED, kind=FailureKind.QUOTA, says="reset after 5h3m2s", is_alive=False,
    ),
    Case(
        sample="err-e429-killed", why="killed while it retried: standard error tells the reason",
        exit=KILLED, kind=FailureKind.RATE_LIMIT, says="failed with status 429", is_alive=False,
    ),
    Case(
        sample="err-drop", why="half an answer",
        exit=Exit(code=1), kind=FailureKind.NETWORK, says="terminated",
    ),
    Case(
        sample="resume-bad", why="stderr alone tells it", exit=INPUT,
        kind=FailureKind.PROTOCOL, says="Invalid session identifier", is_alive=False, resumes=SESSION,
    ),
    Case(
        sample="resume-none", why="there is no session at all", exit=INPUT,
        kind=FailureKind.PROTOCOL, says="No previous sessions", is_alive=False, resumes=SESSION,
    ),
    Case(
        sample="session-id-reused", why="an id once used can begin no session",
        exit=INPUT, kind=FailureKind.PROTOCOL, says="already exists", is_alive=False,
    ),
    Case(
        sample="untrusted", why="nobody gave it trust in the folder",
        exit=Exit(code=55), kind=FailureKind.PERMISSION, says="trusted directory",
    ),
    Case(
        sample="no-key", why="no key", exit=Exit(code=41),
        kind=FailureKind.AUTH, says="must specify the GEMINI_API_KEY",
    ),
    Case(
        sample="wrong-flag", why="the line that names the flag comes before the help",
        exit=Exit(code=1), kind=FailureKind.CRASH, says="Unknown argument: nonesuch",
    ),
    Case(
        sample="sig-TERM-norelaunch", why="it exits with 0 though it was stopped",
        exit=OK, kind=FailureKind.PROTOCOL, says="exited with code 0 without a result",
    ),
)  # fmt: skip


def line(**record: Any) -> bytes:
    """A record as a line."""
    return json.dumps(record).encode() + b"\n"


def said(text: str) -> bytes:
    """A piece of an answer."""
    return line(type="message", role="assistant", content=text, delta=True)


def result(message: str | None = None) -> bytes:
    """The last record, successful where there is no message."""
    error = {} if message is None else {"error": {"type": "unknown", "message": message}}
    return line(type="result", status="error" if error else "success", **error)


def invocation(**more: Any) -> Invocation:
    """A first turn without any choice made."""
    fields = {"agent_id": "a", "command": ("gemini",), "session_id": SESSION, "is_resume": False}
    return Invocation(**{**fields, "prompt_file": Path("/spool/prompt"), **more})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sample)
def test_a_recorded_run_comes_to_its_outcome(case: Case) -> None:
    """Kind, text and whether the session lives on are read as the table says."""
    comes_to(case, GeminiReader(case.resumes), "gemini")


def test_every_recorded_run_is_in_the_table() -> None:
    """No sample lies about unread."""
    assert samples_of("gemini") == sorted(case.sample for case in CASES)


def test_a_session_begins_with_the_prompt_on_standard_input() -> None:
    """The first turn names its session; no flag and no trust is there that nobody configured."""
    command = Gemini().command(invocation())
    assert command.argv == ("gemini", "--output-format", "stream-json", "--session-id", SESSION)
    assert command.stdin == Path("/spool/prompt")
    assert command.env == {"GEMINI_CLI_NO_RELAUNCH": "1"}


def test_a_session_is_resumed_with_model_and_flags() -> None:
    """The model and the configured flags come last, so that flags have the last word."""
    flags = ("--approval-mode", "auto_edit")
    argv = Gemini().command(invocation(is_resume=True, model="gemini-3.8-flash", flags=flags)).argv
    assert argv[3:] == ("--resume", SESSION, "--model", "gemini-3.8-flash", *flags)


@pytest.mark.parametrize(
    ("flags", "skips"),
    [
        ((), False),
        (("--approval-mode", "auto_edit"), False),
        (("--skip-trust",), False),
        (("-y",), True),
        (("-dy",), True),
        (("--yolo",), True),
        (("--approval-mode", "yolo"), True),
        (("--approvalMode=yolo",), True),
    ],
)
def test_flags_that_skip_permissions_are_known(flags: tuple[str, ...], skips: bool) -> None:
    """By every spelling that its parser takes."""
    assert Gemini().skips_permissions(flags) is skips


def test_the_bill_of_a_turn() -> None:
    """Cached tokens are taken from the input that holds them, and thoughts are counted as output."""
    outcome = fed(GeminiReader(), stdout_of("streamjson", "gemini")).outcome(OK)
    assert outcome.usage == Usage(input_tokens=16, output_tokens=18, cache_read_tokens=6)
    assert (outcome.counts_session, outcome.cost_usd) == (False, None)


@pytest.mark.parametrize(
    ("message", "code", "kind"),
    [
        ('[API Error: {"error":{"code":403,"message":"no"}}]', 147, FailureKind.AUTH),
        ('[API Error: {"error":{"code":503,"message":"busy"}}]', 247, FailureKind.NETWORK),
        ('[API Error: {"error":{"code":503,"message":"model is overloaded"}}]', 247, FailureKind.RATE_LIMIT),
        ('[API Error: {"error":{"code":400,"message":"API key not valid."}}]', 144, FailureKind.AUTH),
        ("[API Error: quota exceeded (Status: RESOURCE_EXHAUSTED)]", 173, FailureKind.RATE_LIMIT),
        ("[API Error: exceeded your current quota\nSuggested retry after 60s.]", 173, FailureKind.RATE_LIMIT),
        ("[API Error: You exceeded your current quota, check your plan]", 173, FailureKind.QUOTA),
        ("[API Error: it exceeds the maximum number of tokens allowed]", 144, FailureKind.CONTEXT_LENGTH),
        ("Model response was truncated because it exceeded the token limit.", 1, FailureKind.MAX_TURNS),
        ("The model response was blocked due to safety settings.", 1, FailureKind.PERMISSION),
        ("[API Error: fetch failed]", 1, FailureKind.NETWORK),
        ("Operation cancelled.", 130, FailureKind.CANCELLED),
        ("[API Error: no such model]", 1, FailureKind.UNKNOWN),
        ("[API Error: something of tomorrow]", 44, FailureKind.CRASH),
    ],
)  # fmt: skip
def test_a_failed_result_gets_the_kind_of_its_words_then_of_its_status_then_of_the_exit(
    message: str, code: int, kind: FailureKind
) -> None:
    """The exit code is the status modulo 256, or one of its own."""
    reader = fed(GeminiReader(), said("so far") + result(message))
    outcome = reader.outcome(Exit(code=code))
    assert (outcome.kind, outcome.content, outcome.session_is_alive) == (kind, "so far", True)
    assert outcome.error == " ".join(message.split())


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ("Attempt 1 failed with status 503. Retrying with backoff... _ApiError: {}", FailureKind.NETWORK),
        ("Attempt 2 failed with 429 error (no Retry-After header). Retrying", FailureKind.RATE_LIMIT),
        ("Attempt 1 failed. Retrying with backoff... TypeError: fetch failed", FailureKind.NETWORK),
        (
            "Attempt 1 failed: exceeded your quota\nSuggested retry after 60s.. Retrying after 61000ms...",
            FailureKind.RATE_LIMIT,
        ),
    ],
)
def test_a_retry_tells_the_kind_early(told: str, kind: FailureKind) -> None:
    """The kind stands from the first retry until the model answers after all."""
    reader = fed(GeminiReader(), b"", told.encode() + b"\n    at f (x.js:1:2) {\n  status: 500\n}\n")
    assert reader.early_kind is kind
    killed = reader.outcome(KILLED)
    assert killed.kind is kind
    assert told.rpartition("\n")[2] in (killed.error or "")
    reader.stdout(said("here I am"))
    assert reader.early_kind is None
    after = reader.outcome(KILLED)
    assert (after.kind, after.content) == (FailureKind.CRASH, "here I am")
    assert after.error == "was ended by SIGKILL without a result record"


def test_a_tools_words_on_standard_error_are_no_reason() -> None:
    """What a tool failed with may sound like anything."""
    noise = b"Error executing tool run_shell_command: you must specify the GEMINI_API_KEY\n"
    outcome = fed(GeminiReader(), said("half"), noise).outcome(Exit(code=1))
    assert (outcome.kind, outcome.error) == (FailureKind.CRASH, "exited with code 1 without a result record")


def test_what_a_hook_refuses_is_no_failure_and_an_error_is_one() -> None:
    """A success after a warning is one; after an error record it is none."""
    warned = line(type="error", severity="warning", message="Agent execution blocked: by a hook")
    assert fed(GeminiReader(), warned + said("done") + result()).outcome(OK).kind is None
    limited = line(type="error", severity="error", message="Maximum session turns exceeded")
    assert fed(GeminiReader(), limited + result()).outcome(OK).kind is FailureKind.MAX_TURNS
    nameless = line(type="error", severity="error", message="odd")
    assert fed(GeminiReader(), nameless + result()).outcome(OK).kind is FailureKind.UNKNOWN


def test_a_success_without_an_answer_is_none() -> None:
    """It ends so where the conversation outgrows the model after a tool, and where a hook stops it."""
    call = line(type="tool_use", tool_id="t", tool_name="ls") + line(type="tool_result", tool_id="t")
    counted = line(type="result", status="success", stats={"total_tokens": 900})
    outgrown = fed(GeminiReader(), said("I look.") + call + counted).outcome(OK)
    assert (outgrown.kind, outgrown.content) == (FailureKind.PROTOCOL, "I look.")
    assert outgrown.error == "a successful result without an answer"
    blocked = line(type="error", severity="warning", message="Agent execution blocked: by a hook")
    unasked = line(type="result", status="success", stats={"total_tokens": 0})
    outcome = fed(GeminiReader(), blocked + unasked).outcome(OK)
    assert outcome.kind is FailureKind.PROTOCOL
    assert outcome.error == "a successful result without an answer: Agent execution blocked: by a hook"


def test_half_a_prompt_is_no_success() -> None:
    """It says on standard error that it cut its input, and works on what is left."""
    cut = b"Warning: stdin input truncated to 8388608 bytes.\n"
    outcome = fed(GeminiReader(), said("done") + result(), cut).outcome(OK)
    assert (outcome.kind, outcome.content) == (FailureKind.CONTEXT_LENGTH, "done")
    assert "only the beginning of the prompt" in (outcome.error or "")


@pytest.mark.parametrize("odd", [{"stats": {"total_tokens": 12.5}}, {"stats": []}, {"error": "none"}])
def test_odd_figures_cost_no_proof(odd: dict[str, Any]) -> None:
    """What a later version counts or tells otherwise is passed over."""
    reader = fed(GeminiReader(), said("done") + line(type="result", status="success", **odd))
    outcome = reader.outcome(OK)
    assert (outcome.kind, outcome.content, outcome.usage) == (None, "done", None)
    assert reader.is_final


def test_the_answer_is_what_came_after_the_last_tool() -> None:
    """What the agent says on its way is content only while there is no answer."""
    call = line(type="tool_use", tool_id="t", tool_name="ls", parameters={"dir": "."})
    reader = fed(GeminiReader(), said("I ") + said("look.") + call)
    assert (reader.tools.running, reader.outcome(KILLED).content) == ('ls {"dir": "."}', "I look.")
    reader = fed(reader, line(type="tool_result", tool_id="t") + said("Done") + said(".") + result())
    assert (reader.tools.running, reader.outcome(OK).content) == (None, "Done.")


@pytest.mark.parametrize(
    ("why", "exit_", "kind"),
    [
        ("a plain end", OK, None),
        ("stopped while it lingered", KILLED, None),
        ("its own failure takes the result back", Exit(code=54), FailureKind.CRASH),
        ("a failure that it names by its exit", Exit(code=41), FailureKind.AUTH),
    ],
)
def test_only_its_own_failure_takes_a_result_back(why: str, exit_: Exit, kind: FailureKind | None) -> None:
    """A CLI that is stopped after its last word has still done its work."""
    reader = fed(GeminiReader(), said("done") + result())
    assert reader.is_final
    assert reader.outcome(exit_).kind is kind, why


@pytest.mark.parametrize("resumes", [None, SESSION])
def test_a_session_lives_from_its_first_answer_on(resumes: str | None) -> None:
    """One that was resumed had its answer before."""
    begun = line(type="init", session_id=SESSION)
    assert fed(GeminiReader(resumes), begun).outcome(KILLED).session_is_alive is (resumes is not None)
    assert fed(GeminiReader(resumes), begun + said("x")).outcome(KILLED).session_is_alive
    assert fed(GeminiReader(resumes), b"").outcome(KILLED).session_is_alive


#: Values of every JSON type, some of them almost right.
_VALUES = st.sampled_from([
    None, True, 0, -1.5, "", "x", "success", "error", [], [1], {}, {"message": 3}, {"message": "x"},
    {"total_tokens": "many"}, {"total_tokens": 3},
])  # fmt: skip
_RECORDS = st.fixed_dictionaries(
    {"type": st.sampled_from([*GeminiReader().takes()])},
    optional=dict.fromkeys(
        ("session_id", "role", "content", "tool_id", "parameters", "severity", "status", "error", "stats"),
        _VALUES,
    ),
)


@given(st.lists(st.one_of(st.binary(max_size=200), _RECORDS.map(lambda record: line(**record))), max_size=6))
def test_no_bytes_and_no_shape_of_a_known_record_break_the_reader(lines: list[bytes]) -> None:
    """Nothing ever raises, and without a result of status success there is no success."""
    reader = GeminiReader("asked")
    for data in lines:
        reader.stdout(data)
        reader.stderr(data)
    is_success = reader.outcome(OK).kind is None
    assert not is_success or any(b'"result"' in data and b"success" in data for data in lines)
