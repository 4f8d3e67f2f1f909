"""The stream-json reader beyond what was recorded: damage, other versions, other orders."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.agents.drivers import stream_json
from kokino.agents.drivers import text as streamed
from kokino.agents.drivers.contract import Exit, Usage
from kokino.agents.drivers.stream_json import StreamJsonReader
from kokino.agents.drivers.text import ERROR_LIMIT
from kokino.agents.failures import FailureKind
from tests.unit.agents.streams import reader_after

OK = Exit(code=0)
FAILED = Exit(code=1)


def line(**record: Any) -> bytes:
    """A record as a line."""
    return json.dumps(record).encode() + b"\n"


def assistant(*content: dict[str, Any], **more: Any) -> bytes:
    """A message of the model."""
    return line(type="assistant", message={"model": "m", "content": list(content)}, **more)


def text(words: str) -> dict[str, Any]:
    """A text block."""
    return {"type": "text", "text": words}


def tool_result(*ids: str) -> bytes:
    """The results of tools."""
    content = [{"type": "tool_result", "tool_use_id": tool_id, "content": "done"} for tool_id in ids]
    return line(type="user", message={"role": "user", "content": content})


def result(**more: Any) -> bytes:
    """A result record, successful unless told otherwise."""
    return line(**{"type": "result", "subtype": "success", "is_error": False, "result": "done", **more})


def failed(message: str, status: int | None = None, **more: Any) -> bytes:
    """A result that reports an error of the service."""
    return result(is_error=True, api_error_status=status, result=message, **more)


@pytest.mark.parametrize(
    ("why", "record", "kind"),
    [
        ("401", failed("Failed to authenticate", 401), FailureKind.AUTH),
        ("403", failed("forbidden", 403), FailureKind.AUTH),
        ("no login, no status", failed("Not logged in · Please run /login"), FailureKind.AUTH),
        ("429", failed("slow down", 429), FailureKind.RATE_LIMIT),
        ("429 for a used-up allowance", failed("You've hit your usage limit", 429), FailureKind.QUOTA),
        ("429 that denies being one", failed("limited (not your usage limit)", 429), FailureKind.RATE_LIMIT),
        ("400 for an empty purse", failed("Credit balance is too low", 400), FailureKind.QUOTA),
        ("400 for a full context", failed("Prompt is too long", 400), FailureKind.CONTEXT_LENGTH),
        ("413", failed("too large", 413), FailureKind.CONTEXT_LENGTH),
        ("529", failed("busy", 529), FailureKind.RATE_LIMIT),
        ("503", failed("unavailable", 503), FailureKind.NETWORK),
        ("404 names no kind of ours", failed("no such model", 404), FailureKind.UNKNOWN),
        ("no connection", failed("Unable to connect to API (ConnectionRefused)"), FailureKind.NETWORK),
        ("broken answer", failed("API returned an empty or malformed response"), FailureKind.NETWORK),
        ("turns", result(subtype="error_max_turns", is_error=True), FailureKind.MAX_TURNS),
        ("turns, without is_error", result(subtype="error_max_turns"), FailureKind.MAX_TURNS),
        ("money", result(subtype="error_max_budget_usd", is_error=True), FailureKind.QUOTA),
        ("an unknown subtype", result(subtype="error_of_next_year", is_error=True), FailureKind.UNKNOWN),
        ("success that does not deny an error", result(is_error=None), FailureKind.UNKNOWN),
    ],
)
def test_an_error_result_gets_the_kind_of_its_words_then_of_its_status(
    why: str, record: bytes, kind: FailureKind
) -> None:
    """Sentences that we know come before status codes, and these before subtypes."""
    assert reader_after(record).outcome(FAILED).kind is kind, why


@pytest.mark.parametrize(
    ("why", "exit_", "kind"),
    [
        ("a plain end", OK, None),
        ("stopped while it lingered", Exit(signal=9), None),
        ("stopped, and it said so by its code", Exit(code=143), None),
        ("nobody saw the end, but the work was said to be done", Exit(), None),
        ("its own failure takes the result back", Exit(code=3), FailureKind.CRASH),
    ],
)
def test_only_the_clis_own_failure_takes_a_successful_result_back(
    why: str, exit_: Exit, kind: FailureKind | None
) -> None:
    """A CLI that is stopped after its last word has still done its work."""
    outcome = reader_after(result()).outcome(exit_)
    assert (outcome.kind, outcome.content) == (kind, "done"), why


@pytest.mark.parametrize(
    ("why", "exit_", "kind", "error"),
    [
        ("no proof", OK, FailureKind.PROTOCOL, "exited with code 0 without a result record"),
        ("a code", Exit(code=2), FailureKind.CRASH, "exited with code 2"),
        ("a signal", Exit(signal=11), FailureKind.CRASH, "ended by SIGSEGV"),
        ("a signal without a name", Exit(signal=77), FailureKind.CRASH, "ended by signal 77"),
        ("a launcher without its interpreter", Exit(code=127), FailureKind.CLI_MISSING, "code 127"),
        ("unseen", Exit(), FailureKind.LOST, "ended unseen"),
    ],
)
def test_without_a_result_the_end_tells_the_kind(
    why: str, exit_: Exit, kind: FailureKind, error: str
) -> None:
    """Exit code 0 without the proof of success is a failure too."""
    outcome = reader_after(b"").outcome(exit_)
    assert outcome.kind is kind, why
    assert error in (outcome.error or "")


@pytest.mark.parametrize(
    ("why", "stdout", "kind", "is_alive"),
    [
        ("it is all there is", b"", FailureKind.PROTOCOL, False),
        ("the result knows better", failed("forbidden", 401), FailureKind.AUTH, True),
        (
            "the result names no kind, and still it is the CLI's word",
            failed("odd"),
            FailureKind.UNKNOWN,
            True,
        ),
    ],
)
def test_standard_error_counts_where_no_result_tells_the_failure(
    why: str, stdout: bytes, kind: FailureKind, is_alive: bool
) -> None:
    """Beside a result, a line of standard error may be a tool's and is not taken for the reason."""
    outcome = reader_after(stdout, b"Error: Session ID x is already in use.\nbye\n").outcome(FAILED)
    assert (outcome.kind, outcome.session_is_alive) == (kind, is_alive), why


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (401, "authentication_failed", FailureKind.AUTH),
        (429, "rate_limit", FailureKind.RATE_LIMIT),
        (529, "overloaded", FailureKind.RATE_LIMIT),
        (500, "server_error", FailureKind.NETWORK),
        (None, "unknown", FailureKind.NETWORK),
        (None, "billing_error", FailureKind.QUOTA),
    ],
)
def test_a_retry_record_tells_the_kind_early(status: int | None, word: str, kind: FailureKind) -> None:
    """The kind stands from the first retry until the model answers after all."""
    retry = line(type="system", subtype="api_retry", error_status=status, error=word)
    reader = reader_after(retry)
    assert reader.early_kind is kind
    killed = reader.outcome(Exit(signal=9))
    assert killed.kind is kind
    assert f"it was retrying after {word}" in (killed.error or "")
    reader.stdout(assistant(text("here I am")))
    assert reader.early_kind is None


def test_a_rejected_allowance_is_a_quota_before_the_cli_gives_up() -> None:
    """A subscription's rate_limit_event counts only when it was rejected."""
    event = {"type": "rate_limit_event", "rate_limit_info": {"status": "allowed_warning"}}
    assert reader_after(line(**event)).early_kind is None
    event["rate_limit_info"] = {"status": "rejected"}
    assert reader_after(line(**event)).early_kind is FailureKind.QUOTA


def test_parallel_tools_run_until_the_last_has_its_result() -> None:
    """Each tool_use is matched with its own tool_result; a stray result changes nothing."""
    tools = [{"type": "tool_use", "id": tool_id} for tool_id in ("a", "b")]
    reader = reader_after(assistant(*tools) + tool_result("a") + tool_result("stray"))
    assert reader.tools.running
    reader.stdout(tool_result("b"))
    assert not reader.tools.running


def test_a_subagents_words_are_not_the_answer() -> None:
    """Content is what the agent itself says; its helpers have a parent tool."""
    reader = reader_after(assistant(text("mine")) + assistant(text("helper's"), parent_tool_use_id="t"))
    assert reader.outcome(Exit(signal=9)).content == "mine"


def test_pieces_stand_in_for_a_message_that_never_came_whole() -> None:
    """Streamed pieces are the content until their message replaces them."""
    delta = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "half an ans"}}
    reader = reader_after(assistant(text("first")) + line(type="stream_event", event=delta))
    assert reader.outcome(Exit(signal=9)).content == "first\nhalf an ans"
    reader.stdout(assistant(text("half an answer")))
    assert reader.outcome(Exit(signal=9)).content == "first\nhalf an answer"


def test_unknown_records_and_garbage_are_counted_and_passed_over() -> None:
    """A later version's records, and lines that are none, do not hide the result."""
    strangers = (
        line(type="from_the_future") + line(type="system", subtype="new") + line(type="user", message=3)
    )
    reader = reader_after(strangers + b"\x00garbage\n[1,2\n42\n\n" + result())
    assert (reader.unknown_records, reader.garbage_lines) == (3, 3)
    assert reader.outcome(OK).kind is None


def test_garbage_is_told_where_it_is_all_there_was() -> None:
    """Who debugs a missing result hears that the output was none of the dialect."""
    assert "output that were no records: 2" in (reader_after(b"a\nb\n").outcome(OK).error or "")


def test_a_broken_byte_does_not_cost_the_result() -> None:
    """Invalid UTF-8 inside a record is replaced."""
    outcome = reader_after(result(result="caf_").replace(b"caf_", b"caf\xe9")).outcome(OK)
    assert (outcome.kind, outcome.content) == (None, "caf\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize(
    "odd",
    [
        {"usage": {"input_tokens": 12.5}},
        {"usage": []},
        {"total_cost_usd": "much"},
        {"errors": [{"message": "none"}]},
        {"api_error_status": "no"},
        {"result": {"text": "done"}},
    ],
)
def test_an_odd_field_costs_no_proof(odd: dict[str, Any]) -> None:
    """What a later version writes otherwise counts as left out, and a good run stays one."""
    reader = reader_after(assistant(text("done")) + result(**odd))
    outcome = reader.outcome(OK)
    assert (outcome.kind, outcome.content) == (None, "done")
    assert reader.unknown_records == 0
    assert reader_after(result(**odd, is_error="false")).outcome(OK).kind is not None


def test_content_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of text is kept up to the limit only."""
    for module in (stream_json, streamed):
        monkeypatch.setattr(module, "CONTENT_LIMIT", 100)
    flood = b"".join(assistant(text("x" * 30)) for _ in range(50))
    assert len(reader_after(flood).outcome(OK).content) <= 100
    assert len(reader_after(result(result="y" * 500)).outcome(OK).content) == 100


def test_an_error_is_one_bounded_line() -> None:
    """Whatever a service answers, a person gets one line."""
    error = reader_after(failed("first\nsecond\t" + "long " * 1000, 500)).outcome(FAILED).error
    assert error is not None
    assert error.startswith("first second long")
    assert len(error) <= ERROR_LIMIT


def test_cache_tokens_are_counted_apart() -> None:
    """Reading and writing a cache have prices of their own."""
    counts = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 4,
    }
    outcome = reader_after(result(usage=counts, total_cost_usd=0.5)).outcome(OK)
    expected = Usage(input_tokens=1, output_tokens=2, cache_read_tokens=3, cache_write_tokens=4)
    assert (expected, 0.5) == (outcome.usage, outcome.cost_usd)


@given(st.lists(st.binary(max_size=200)), st.lists(st.binary(max_size=200)))
def test_no_bytes_whatever_break_the_reader(stdout: list[bytes], stderr: list[bytes]) -> None:
    """Arbitrary bytes never raise and are never a success."""
    reader = StreamJsonReader()
    for data in stdout:
        reader.stdout(data)
    for data in stderr:
        reader.stderr(data)
    assert reader.outcome(OK).kind is not None


#: Values of every JSON type, some of them almost right.
_VALUES = [
    None,
    True,
    0,
    -1.5,
    "",
    "x",
    "success",
    [],
    [1],
    {},
    {"content": 3},
    {"content": [{"type": "text"}]},
]
_FIELDS = (
    "subtype",
    "message",
    "event",
    "rate_limit_info",
    "usage",
    "errors",
    "result",
    "error_status",
    "model",
)
_RECORDS = st.fixed_dictionaries(
    {"type": st.sampled_from(["system", "assistant", "user", "result", "stream_event", "rate_limit_event"])},
    optional=dict.fromkeys(_FIELDS, st.sampled_from(_VALUES)),
)


@given(st.lists(_RECORDS, max_size=5))
def test_no_shape_of_a_known_record_breaks_the_reader(records: list[dict[str, Any]]) -> None:
    """Known types with fields of any type never raise; without is_error there is no success."""
    reader = reader_after(b"".join(line(**record) for record in records))
    assert reader.outcome(OK).kind is not None


def test_nesting_without_end_is_garbage() -> None:
    """A line of a million brackets neither overflows the stack nor counts as a record."""
    reader = reader_after(b"[" * 1_000_000 + b"\n" + b'{"type":' + b"[" * 1_000_000 + b"\n" + result())
    assert reader.garbage_lines == 2
    assert reader.outcome(OK).kind is None
