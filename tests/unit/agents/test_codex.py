"""Recorded runs of the real Codex, and what its records come to beyond those."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.agents.drivers.codex import Codex, CodexReader
from kokino.agents.drivers.contract import Exit, Invocation, Usage
from kokino.agents.failures import FailureKind
from tests.unit.agents.streams import Case, comes_to, fed, samples_of, stdout_of

OK = Exit(code=0)
FAILED = Exit(code=1)
RESUMED = "01a204f9-9ac6-7472-97d0-c8dded8fbe7c"

CASES = (
    Case(sample="json", why="a warning is no failure", exit=OK, kind=None, says="MOCK-OK turns=4"),
    Case(sample="resume", why="a second turn", exit=OK, kind=None, says="second", resumes=RESUMED),
    Case(
        sample="resume-notuuid", why="it began another session and says nothing of it",
        exit=OK, kind=FailureKind.PROTOCOL, says="instead of going on with no-uuid", is_alive=False,
        resumes="no-uuid",
    ),
    Case(
        sample="resume-unknown", why="stderr alone tells it",
        exit=FAILED, kind=FailureKind.PROTOCOL, says="no rollout found", is_alive=False, resumes=RESUMED,
    ),
    Case(sample="tool-bypass", why="a tool may fail", exit=OK, kind=None, says="echo tool-ran"),
    Case(sample="tool-sandbox-denied", why="no record tells", exit=OK, kind=None, says="It is not allowed."),
    Case(sample="tool-left-running", why="a tool may outlive the turn", exit=OK, kind=None, says="It runs."),
    Case(sample="err-e401", why="after five tries", exit=FAILED, kind=FailureKind.AUTH, says="status 401"),
    Case(sample="err-e500", why="it names no status", exit=FAILED, kind=FailureKind.NETWORK, says="demand"),
    Case(sample="err-drop", why="half an answer", exit=FAILED, kind=FailureKind.NETWORK, says="disconnected"),
    Case(sample="err-overloaded", why="overload", exit=FAILED, kind=FailureKind.RATE_LIMIT, says="capacity"),
    Case(
        sample="err-usage-limit", why="when to try again stands in the error",
        exit=FAILED, kind=FailureKind.QUOTA, says="try again at Nov 29th, 2026 9:43 PM.",
    ),
    Case(
        sample="nogit", why="it refuses the folder",
        exit=FAILED, kind=FailureKind.PERMISSION, says="Not inside a trusted directory",
    ),
    Case(
        sample="wrong-flag", why="the line that names the flag comes before the hint to read the help",
        exit=Exit(code=2), kind=FailureKind.CRASH, says="unexpected argument '--nonesuch'",
    ),
    Case(
        sample="sigTERM", why="it goes without a word",
        exit=Exit(signal=15), kind=FailureKind.CRASH, says="was ended by SIGTERM without a completed turn",
    ),
)  # fmt: skip


def line(**record: Any) -> bytes:
    """A record as a line."""
    return json.dumps(record).encode() + b"\n"


def error(message: str) -> bytes:
    """A record that tells of trouble."""
    return line(type="error", message=message)


def failed(message: str) -> bytes:
    """The last record of a run that was given up."""
    return line(type="turn.failed", error={"message": message})


def item(event: str, type: str, id: str = "item_1", **more: Any) -> bytes:
    """Something that the agent says or does."""
    return line(type=f"item.{event}", item={"id": id, "type": type, **more})


def invocation(**more: Any) -> Invocation:
    """A first turn without any choice made."""
    fields = {"agent_id": "a", "command": ("codex",), "session_id": RESUMED, "is_resume": False}
    return Invocation(**{**fields, "prompt_file": Path("/spool/prompt"), **more})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sample)
def test_a_recorded_run_comes_to_its_outcome(case: Case) -> None:
    """Kind, text and whether the session lives on are read as the table says."""
    comes_to(case, CodexReader(case.resumes), "codex")


def test_every_recorded_run_is_in_the_table() -> None:
    """No sample lies about unread."""
    assert samples_of("codex") == sorted(case.sample for case in CASES)


def test_a_session_begins_with_the_prompt_on_standard_input() -> None:
    """No flag is there that nobody configured, and no session, for Codex names its own."""
    command = Codex().command(invocation())
    assert command.argv == (
        "codex", "exec", "-c", "analytics.enabled=false", "--skip-git-repo-check", "--json", "-",
    )  # fmt: skip
    assert command.stdin == Path("/spool/prompt")


def test_a_session_is_resumed_with_the_flags_that_only_exec_takes() -> None:
    """Model and flags stand before ``resume``, which would refuse --sandbox."""
    flags = ("--sandbox", "workspace-write")
    argv = Codex().command(invocation(is_resume=True, model="gpt-5.2-codex", flags=flags)).argv
    assert argv[4:6] == ("--model", "gpt-5.2-codex")
    assert argv[6:8] == flags
    assert argv[8:] == ("--skip-git-repo-check", "--json", "resume", RESUMED, "-")


@pytest.mark.parametrize(
    ("flags", "skips"),
    [
        ((), False),
        (("--sandbox", "workspace-write"), False),
        (("--dangerously-bypass-approvals-and-sandbox",), True),
        (("--yolo",), True),
        (("-s", "danger-full-access"), True),
        (("--sandbox=danger-full-access",), True),
        (("-c", 'sandbox_mode="danger-full-access"'), True),
    ],
)
def test_flags_that_skip_permissions_are_known(flags: tuple[str, ...], skips: bool) -> None:
    """Whatever leaves a command without its sandbox."""
    assert Codex().skips_permissions(flags) is skips


def test_the_bill_of_a_session_is_its_own_sum() -> None:
    """Cached tokens are taken from the input that holds them; the figures count from the first turn on."""
    reader = fed(CodexReader(), stdout_of("resume", "codex"))
    outcome = reader.outcome(OK)
    assert outcome.usage == Usage(input_tokens=16, output_tokens=14, cache_read_tokens=6)
    assert outcome.counts_session
    assert (outcome.cost_usd, reader.session_id) == (None, RESUMED)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("unexpected status 403 Forbidden: no, url: http://x", FailureKind.AUTH),
        ("exceeded retry limit, last status: 429 Too Many Requests", FailureKind.RATE_LIMIT),
        ("unexpected status 503 Service Unavailable: busy", FailureKind.NETWORK),
        ("unexpected status 404 Not Found: no such model", FailureKind.UNKNOWN),
        ("unexpected status 401 Unauthorized: Quota exceeded.", FailureKind.QUOTA),
        ("You've hit your usage limit. Try again in 3 days 4 hours.", FailureKind.QUOTA),
        ("Your workspace is out of credits. Add credits to continue.", FailureKind.QUOTA),
        ("Codex ran out of room in the model's context window.", FailureKind.CONTEXT_LENGTH),
        ("Your access token could not be refreshed. Please log out and sign in again.", FailureKind.AUTH),
        ("Missing environment variable: `OPENAI_API_KEY`.", FailureKind.AUTH),
        ("stream disconnected before completion: idle timeout waiting for SSE", FailureKind.NETWORK),
        ("stream disconnected before completion: Rate limit reached for gpt-5", FailureKind.RATE_LIMIT),
        ("turn aborted. Something went wrong?", FailureKind.CANCELLED),
        ("something new", FailureKind.UNKNOWN),
    ],
)
def test_a_failed_turn_gets_the_kind_of_its_words_then_of_the_status_in_them(
    said: str, kind: FailureKind
) -> None:
    """Sentences that we know come before status codes, and these before what any broken line says."""
    outcome = fed(CodexReader(), failed(said)).outcome(FAILED)
    assert (outcome.kind, outcome.error) == (kind, said)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Reconnecting... 1/5 (unexpected status 401 Unauthorized: no)", FailureKind.AUTH),
        (
            "Reconnecting... waiting for network (Connection failed: error sending request)",
            FailureKind.NETWORK,
        ),
        ("Reconnecting... 2/5", FailureKind.NETWORK),
    ],
)
def test_a_retry_tells_the_kind_early(said: str, kind: FailureKind) -> None:
    """The kind stands from the first retry until the model answers after all; a warning changes nothing."""
    reader = fed(CodexReader(), error(said) + item("completed", "error", message="a warning"))
    assert reader.early_kind is kind
    killed = reader.outcome(Exit(signal=9))
    assert killed.kind is kind
    assert f"the last it told of: {said}" in (killed.error or "")
    reader.stdout(item("completed", "agent_message", text="here I am"))
    assert reader.early_kind is None
    after = reader.outcome(Exit(signal=9))
    assert (after.kind, after.content) == (FailureKind.CRASH, "here I am")
    assert "told of" not in (after.error or "")


@pytest.mark.parametrize(
    ("why", "exit_", "kind"),
    [
        ("a plain end", OK, None),
        ("stopped while it lingered", Exit(signal=9), None),
        ("its own failure takes the turn back", Exit(code=3), FailureKind.CRASH),
    ],
)
def test_only_its_own_failure_takes_a_completed_turn_back(
    why: str, exit_: Exit, kind: FailureKind | None
) -> None:
    """A CLI that is stopped after its last word has still done its work."""
    reader = fed(CodexReader(), line(type="turn.completed", usage=None))
    assert reader.is_final
    assert reader.outcome(exit_).kind is kind, why


def test_exit_0_is_no_proof() -> None:
    """Without a completed turn nothing was proved."""
    outcome = fed(CodexReader(), item("completed", "agent_message", text="half")).outcome(OK)
    assert (outcome.kind, outcome.content) == (FailureKind.PROTOCOL, "half")
    assert outcome.error == "exited with code 0 without a completed turn"


def test_a_failed_turn_in_another_session_keeps_its_kind() -> None:
    """What failed is the account's matter, and still the session that was asked for is gone."""
    reader = CodexReader("asked")
    outcome = fed(reader, line(type="thread.started", thread_id="begun") + failed("sign in again")).outcome(
        FAILED
    )
    assert (outcome.kind, outcome.session_is_alive) == (FailureKind.AUTH, False)


def test_the_answer_is_the_last_message() -> None:
    """What the agent says on its way is content only while there is no answer."""
    talk = item("completed", "agent_message", text="I look.") + item(
        "completed", "agent_message", text="Done."
    )
    reader = fed(CodexReader(), talk)
    assert reader.outcome(FAILED).content == "I look.\nDone."
    reader.stdout(line(type="turn.completed"))
    assert reader.outcome(OK).content == "Done."


@pytest.mark.parametrize(
    ("started", "shown"),
    [
        ({"type": "command_execution", "command": "make"}, 'command_execution "make"'),
        ({"type": "mcp_tool_call", "server": "s", "tool": "t", "arguments": {"a": 1}}, 's.t {"a": 1}'),
        ({"type": "web_search", "query": "heron"}, 'web_search "heron"'),
        ({"type": "of_tomorrow"}, "of_tomorrow"),
    ],
)
def test_a_call_runs_until_its_item_is_completed(started: dict[str, Any], shown: str) -> None:
    """Silence counts as a tool at work between the two records; an update is no second call."""
    reader = fed(CodexReader(), item("started", **started) + item("updated", **started))
    assert (reader.tools.running, reader.tools.count) == (shown, 1)
    reader.stdout(item("completed", **started))
    assert (reader.tools.running, reader.tools.count) == (None, 1)


def test_a_call_that_is_told_only_when_done_counts() -> None:
    """A change of files comes as one record."""
    changes = [{"path": "a.py", "kind": "add"}]
    reader = fed(CodexReader(), item("completed", "file_change", changes=changes))
    assert (reader.tools.running, reader.tools.count) == (None, 1)


def test_plans_and_messages_are_no_tools() -> None:
    """A list of things to do stays open for the whole turn: it must not hold off the idle deadline."""
    reader = fed(
        CodexReader(), item("started", "todo_list", items=[]) + item("completed", "reasoning", text="hm")
    )
    assert (reader.tools.running, reader.tools.count, reader.unknown_records) == (None, 0, 0)


def test_the_same_call_again_and_again_is_seen() -> None:
    """Calls are compared by what they were given, not by their ids."""
    calls = [
        item(event, "command_execution", id=f"item_{number}", command="make")
        for number in range(3)
        for event in ("started", "completed")
    ]
    assert fed(CodexReader(), b"".join(calls)).tools.repeats == 3


def test_unknown_records_and_garbage_are_counted_and_passed_over() -> None:
    """A later version's records, and lines that are none, do not hide the end."""
    strangers = (
        line(type="from.the.future") + line(type="item.started", item=3) + item("started", "of_tomorrow")
    )
    reader = fed(CodexReader(), strangers + b"\x00garbage\n[1,2\n\n" + line(type="turn.completed"))
    assert (reader.unknown_records, reader.garbage_lines) == (3, 2)
    assert reader.outcome(OK).kind is None


#: Values of every JSON type, some of them almost right.
_VALUES = st.sampled_from([
    None, True, 0, -1.5, "", "x", [], [1], {}, {"id": 3}, {"message": 3},
    {"id": "item_1", "type": "agent_message", "text": None}, {"id": "item_1", "type": "command_execution"},
    {"input_tokens": "many"},
])  # fmt: skip
_RECORDS = st.fixed_dictionaries(
    {"type": st.sampled_from([*CodexReader().takes()])},
    optional=dict.fromkeys(("thread_id", "item", "usage", "error", "message"), _VALUES),
)


@given(st.lists(st.one_of(st.binary(max_size=200), _RECORDS.map(lambda record: line(**record))), max_size=6))
def test_no_bytes_and_no_shape_of_a_known_record_break_the_reader(lines: list[bytes]) -> None:
    """Nothing ever raises, and without the record of a completed turn there is no success."""
    reader = CodexReader("asked")
    for data in lines:
        reader.stdout(data)
        reader.stderr(data)
    is_success = reader.outcome(OK).kind is None
    assert not is_success or any(b"turn.completed" in data for data in lines)
