"""Recorded runs of the real OpenCode, and what its records and its log come to beyond those."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.agents.drivers.contract import Exit, Invocation, Usage
from kokino.agents.drivers.opencode import OpenCode, OpenCodeReader
from kokino.agents.failures import FailureKind
from tests.unit.agents.streams import Case, comes_to, fed, samples_of, stderr_of, stdout_of

OK = Exit(code=0)
FAILED = Exit(code=1)
KILLED = Exit(signal=9)
SESSION = "ses_dfafedd27ffeG1QnGcl27LAqAW"

CASES = (
    Case(sample="json", why="without its log", exit=OK, kind=None, says="MOCK-OK turns=2"),
    Case(sample="stream", why="a plain answer", exit=OK, kind=None, says="I shall remember the heron."),
    Case(sample="tool", why="a tool ran, without its log", exit=OK, kind=None, says="MOCK-OK turns=4"),
    Case(sample="tool-stream", why="a tool may fail", exit=OK, kind=None, says="It ran."),
    Case(sample="helper-stream", why="a helper's log is its own", exit=OK, kind=None, says="All done."),
    Case(sample="permission-denied-stream", why="it went on", exit=OK, kind=None, says="It may not run."),
    Case(
        sample="permission-rejected-stream", why="it gave up where it would have had to ask, with exit 0",
        exit=OK, kind=FailureKind.PERMISSION, says="permission requested: bash (echo tool-ran); auto",
    ),
    Case(sample="err-drop-stream", why="the second try was good", exit=OK, kind=None, says="At last."),
    Case(sample="compacted-stream", why="exit 1, but overcome", exit=FAILED, kind=None, says="All done."),
    Case(sample="err-e401", why="the record", exit=FAILED, kind=FailureKind.AUTH, says="mock error 401"),
    Case(sample="err-e401-stream", why="its log", exit=FAILED, kind=FailureKind.AUTH, says="mock error 401"),
    Case(
        sample="err-context-stream", why="it could not compact, either",
        exit=FAILED, kind=FailureKind.CONTEXT_LENGTH, says="maximum context length",
    ),
    Case(
        sample="err-e429-killed-stream", why="killed while it retried: its log alone tells the reason",
        exit=KILLED, kind=FailureKind.RATE_LIMIT, says="retrying after AI_APICallError: Rate limit reached",
    ),
    Case(
        sample="err-e500-killed-stream", why="what has no sentence is the network's",
        exit=KILLED, kind=FailureKind.NETWORK, says="retrying after AI_APICallError: mock error 500",
    ),
    Case(
        sample="err-refused-killed-stream", why="nobody listens",
        exit=KILLED, kind=FailureKind.NETWORK, says="Unable to connect",
    ),
    Case(
        sample="unknown-model-stream", why="the record refers to the log",
        exit=FAILED, kind=FailureKind.UNKNOWN, says="ProviderModelNotFoundError: Model not found",
    ),
    Case(
        sample="resume-unknown-stream", why="a coloured line of stderr tells it",
        exit=FAILED, kind=FailureKind.PROTOCOL, says="Error: Session not found", is_alive=False,
    ),
    Case(
        sample="wrong-flag-stream", why="it shows its help and no other word",
        exit=FAILED, kind=FailureKind.CRASH, says="one of its flags is unknown to it",
    ),
)  # fmt: skip


def line(**record: Any) -> bytes:
    """A record as a line."""
    return json.dumps({"sessionID": SESSION, **record}).encode() + b"\n"


def text(words: str, **more: Any) -> bytes:
    """Something said."""
    return line(type="text", part={"type": "text", "text": words, **more})


def finish(reason: str = "stop", **more: Any) -> bytes:
    """The end of a step."""
    return line(type="step_finish", part={"reason": reason, **more})


def call(id: str, command: str) -> bytes:
    """A call that is done."""
    part = {"callID": id, "tool": "bash", "state": {"status": "completed", "input": {"command": command}}}
    return line(type="tool_use", part=part)


def error(name: str = "APIError", **data: Any) -> bytes:
    """A failure that is told as a record."""
    return line(type="error", error={"name": name, "data": data})


def log(message: str, level: str = "INFO", **more: str) -> bytes:
    """A line of the log; field names with a dot are written with ``__``."""
    fields = {"level": level, "message": message, **more}
    said = " ".join(f"{name.replace('__', '.')}={json.dumps(value)}" for name, value in fields.items())
    return f"timestamp=2026-11-26T11:32:05.365Z {said}\n".encode()


def invocation(**more: Any) -> Invocation:
    """A first turn without any choice made."""
    fields = {"agent_id": "reviewer", "command": ("opencode",), "session_id": SESSION, "is_resume": False}
    return Invocation(**{**fields, "prompt_file": Path("/spool/prompt"), **more})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sample)
def test_a_recorded_run_comes_to_its_outcome(case: Case) -> None:
    """Kind, text and whether the session lives on are read as the table says."""
    comes_to(case, OpenCodeReader(case.resumes), "opencode")


def test_every_recorded_run_is_in_the_table() -> None:
    """No sample lies about unread."""
    assert samples_of("opencode") == sorted(case.sample for case in CASES)


def test_a_session_begins_with_the_prompt_on_standard_input() -> None:
    """It has a title of ours and its log is printed; no flag is there that nobody configured."""
    command = OpenCode().command(invocation())
    assert command.argv == (
        "opencode", "run", "--format", "json", "--print-logs", "--log-level", "INFO",
        "--title", "kokino reviewer",
    )  # fmt: skip
    assert command.stdin == Path("/spool/prompt")
    assert command.env == {"OPENCODE_DISABLE_AUTOUPDATE": "1"}


def test_a_session_is_resumed_with_model_and_flags() -> None:
    """Later turns resume; the configured flags come last."""
    flags = ("--agent", "plan")
    argv = OpenCode().command(invocation(is_resume=True, model="anthropic/opus", flags=flags)).argv
    assert argv[7:] == ("--session", SESSION, "--model", "anthropic/opus", *flags)


@pytest.mark.parametrize(
    ("flags", "skips"),
    [
        ((), False),
        (("--agent", "auto"), False),
        (("--auto",), True),
        (("--auto=true",), True),
        (("--yolo",), True),
        (("--dangerously-skip-permissions",), True),
    ],
)
def test_flags_that_skip_permissions_are_known(flags: tuple[str, ...], skips: bool) -> None:
    """Whatever makes it ask nobody, hidden or not."""
    assert OpenCode().skips_permissions(flags) is skips


def test_the_bill_of_a_run_is_the_sum_of_its_steps() -> None:
    """Two model calls of one turn; thinking counts as output; the session's earlier turns do not count."""
    reader = fed(OpenCodeReader(), *(of("tool-stream", "opencode") for of in (stdout_of, stderr_of)))
    outcome = reader.outcome(OK)
    assert outcome.usage == Usage(input_tokens=16, output_tokens=14, cache_read_tokens=6)
    assert outcome.cost_usd == pytest.approx(0.0000446)
    assert not outcome.counts_session
    assert (reader.version, reader.session_id) == ("1.18.33", "ses_de86000faffectyZkbfKO2Q6jg")


def test_the_log_names_the_session_before_any_record() -> None:
    """A run that never got an answer can still be gone on with; a helper's session is another."""
    stderr = stderr_of("err-e429-killed-stream", "opencode")
    reader = fed(OpenCodeReader(), b"", stderr)
    assert reader.session_id == "ses_de85f8a6effe6dG3VvhjPZilii"
    reader.stderr(log("created", id="ses_helper", parentID=SESSION))
    assert reader.session_id == "ses_de85f8a6effe6dG3VvhjPZilii"


def test_a_call_is_known_to_run_from_its_permission_to_the_next_step() -> None:
    """Silence counts as a tool at work in between, whatever a helper does meanwhile."""
    reader = fed(OpenCodeReader(SESSION), b"", log("loop", session__id=SESSION, step="0"))
    assert reader.tools.running is None
    allowed = {"permission": "bash", "action__action": "allow"}
    reader.stderr(log("evaluated", pattern="make test", **allowed))
    assert reader.tools.running == "bash make test"
    reader.stderr(log("loop", session__id="ses_helper", step="1"))
    assert reader.tools.running is not None
    reader.stdout(call("call_1", "make test"))
    reader.stderr(log("loop", session__id=SESSION, step="1"))
    assert (reader.tools.running, reader.tools.count) == (None, 1)


def test_a_call_that_is_refused_does_not_run() -> None:
    """What needs a permission that is denied or asked for has not begun."""
    reader = fed(OpenCodeReader(), b"", log("evaluated", permission="bash", action__action="ask"))
    assert reader.tools.running is None


def test_the_same_call_again_and_again_is_seen() -> None:
    """Calls are compared by what they were given, not by their ids or their permissions."""
    reader = OpenCodeReader()
    for number in range(3):
        reader.stderr(log("evaluated", permission="bash", pattern="make", action__action="allow"))
        reader.stdout(call(f"call_{number}", "make"))
    assert (reader.tools.count, reader.tools.repeats) == (3, 3)


def test_the_end_of_its_loop_is_its_last_word() -> None:
    """The log alone tells it, and only of the run's own session."""
    reader = fed(OpenCodeReader(SESSION), finish(), log("exiting loop", session__id="ses_helper"))
    assert not reader.is_final
    reader.stderr(log("exiting loop", session__id=SESSION))
    assert reader.is_final


@pytest.mark.parametrize(
    ("why", "stdout", "stderr", "exit_", "kind"),
    [
        ("exit 0 after a step", finish(), b"", OK, None),
        ("its answer was cut at a limit", finish("length"), b"", OK, FailureKind.MAX_TURNS),
        ("its answer was kept back", finish("content-filter"), b"", OK, FailureKind.PERMISSION),
        ("a reason that tells nothing", finish("other"), b"", OK, FailureKind.PROTOCOL),
        ("a reason of tomorrow", finish("brand-new"), b"", OK, FailureKind.PROTOCOL),
        ("the step has more to come", finish("tool-calls"), b"", OK, FailureKind.PROTOCOL),
        ("it goes on after the step", finish() + finish("tool-calls"), b"", OK, FailureKind.PROTOCOL),
        ("an error", finish() + error(message="boom"), b"", OK, FailureKind.UNKNOWN),
        ("an error that it did not overcome", error(message="boom") + finish(), b"", OK, FailureKind.UNKNOWN),
        ("killed in the middle, for all we know", finish(), b"", KILLED, FailureKind.CRASH),
        ("killed after its last word", finish(), log("exiting loop", session__id=SESSION), KILLED, None),
        ("its own failure", finish(), log("exiting loop", session__id=SESSION), FAILED, FailureKind.CRASH),
        ("nothing at all", b"", b"", OK, FailureKind.PROTOCOL),
    ],
)
def test_the_proof_of_success_is_a_last_step_an_exit_and_no_error(
    why: str, stdout: bytes, stderr: bytes, exit_: Exit, kind: FailureKind | None
) -> None:
    """Any of the three alone proves nothing."""
    assert fed(OpenCodeReader(SESSION), stdout, stderr).outcome(exit_).kind is kind, why


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (error(message="no", statusCode=403), FailureKind.AUTH),
        (error(message="slow down", statusCode=429, isRetryable=True), FailureKind.RATE_LIMIT),
        (error(message="You exceeded your current quota", statusCode=429), FailureKind.QUOTA),
        (
            error(message="no", statusCode=429, responseBody='{"type":"FreeUsageLimitError"}'),
            FailureKind.QUOTA,
        ),
        (error(message="busy", statusCode=503), FailureKind.NETWORK),
        (error(message="gone", isRetryable=True), FailureKind.NETWORK),
        (error(message="no such model", statusCode=404, isRetryable=False), FailureKind.UNKNOWN),
        (error("ProviderAuthError", message="no"), FailureKind.AUTH),
        (error("ContextOverflowError", message="no"), FailureKind.CONTEXT_LENGTH),
        (error("MessageAbortedError", message="no"), FailureKind.CANCELLED),
        (error("UnknownError", message="OpenAI API key is missing."), FailureKind.AUTH),
        (error("OfTomorrow"), FailureKind.UNKNOWN),
    ],
)
def test_an_error_gets_the_kind_of_its_name_its_words_then_of_its_status(
    record: bytes, kind: FailureKind
) -> None:
    """What tells most comes first; that trying again might help comes last."""
    outcome = fed(OpenCodeReader(), record).outcome(FAILED)
    assert outcome.kind is kind
    assert outcome.error


def test_a_retry_tells_the_kind_early() -> None:
    """The kind stands from the first failed try until the model answers after all."""
    failed = log("stream error", "ERROR", session__id=SESSION, error__error="AI_APICallError: Overloaded")
    reader = fed(OpenCodeReader(SESSION), b"", failed)
    assert reader.early_kind is FailureKind.RATE_LIMIT
    reader.stdout(text("here I am"))
    assert reader.early_kind is None
    assert reader.outcome(KILLED).content == "here I am"


def test_a_failed_try_that_is_read_late_is_lifted_by_the_next_step() -> None:
    """Standard error is read after standard output: its own order decides."""
    failed = log("stream error", "ERROR", session__id=SESSION, error__error="AI_APICallError: Overloaded")
    reader = fed(OpenCodeReader(SESSION), text("here I am"), failed + log("loop", session__id=SESSION))
    assert reader.early_kind is None


def test_the_answer_is_what_the_last_step_said() -> None:
    """Neither what was said on the way, nor what the CLI says in the user's place."""
    start = line(type="step_start", part={})
    on_the_way = start + text("I look.") + finish("tool-calls") + text("Go on.", synthetic=True)
    reader = fed(OpenCodeReader(), on_the_way + start + text("Done.") + text("Really."))
    assert reader.outcome(KILLED).content == "I look.\nDone.\nReally."
    reader.stdout(finish())
    assert reader.outcome(OK).content == "Done.\nReally."


def test_figures_of_another_shape_do_not_cost_the_success() -> None:
    """What a step took may be told otherwise one day; that it ended is read by itself."""
    outcome = fed(OpenCodeReader(), finish(tokens="many")).outcome(OK)
    assert (outcome.kind, outcome.usage, outcome.cost_usd) == (None, None, None)


def test_unknown_records_and_garbage_are_counted_and_passed_over() -> None:
    """A later version's records, and lines that are none, do not hide the end."""
    strangers = line(type="from_the_future") + line(type="text", part=3)
    reader = fed(OpenCodeReader(), strangers + b"\x00garbage\n[1,2\n\n" + finish())
    assert (reader.unknown_records, reader.garbage_lines) == (2, 2)
    assert reader.outcome(OK).kind is None


#: Values of every JSON type, some of them almost right.
_VALUES = st.sampled_from([
    None, True, 0, -1.5, "", "x", [], [1], {}, {"text": 3}, {"callID": "c", "tool": "t", "state": 3},
    {"name": "APIError", "data": {"statusCode": "x"}}, {"reason": "tool-calls", "tokens": {"input": 1e300}},
])  # fmt: skip
_RECORDS = st.fixed_dictionaries(
    {"type": st.sampled_from([*OpenCodeReader().takes()])},
    optional=dict.fromkeys(("sessionID", "part", "error"), _VALUES),
).map(lambda record: json.dumps(record).encode())
_LOGS = st.binary(max_size=100).map(lambda rest: b'timestamp=1 level=ERROR message="stream error" ' + rest)


@given(st.lists(st.one_of(st.binary(max_size=200), _RECORDS, _LOGS), max_size=6))
def test_no_bytes_and_no_shape_of_a_known_record_break_the_reader(lines: list[bytes]) -> None:
    """Nothing ever raises, and without a reason of its last step there is no success."""
    reader = OpenCodeReader()
    for data in lines:
        reader.stdout(data)
        reader.stderr(data)
    assert reader.outcome(OK).kind is not None
