"""Recorded runs of the real Droid, and what its records come to beyond those."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.agents.drivers.contract import Exit, Invocation, Usage
from kokino.agents.drivers.factory_droid import DroidReader, FactoryDroid
from kokino.agents.failures import FailureKind
from tests.unit.agents.streams import Case, comes_to, fed, samples_of, stdout_of

OK = Exit(code=0)
FAILED = Exit(code=1)
KILLED = Exit(signal=9)
SESSION = "5cd39143-68b6-4173-bcaa-62cc3d3809a9"
UNKNOWN = "4abd6c4e-c8bf-4f1d-b9ec-cd8ca6e7dc75"

CASES = (
    Case(sample="streamjson", why="a plain answer", exit=OK, kind=None, says="MOCK-OK turns=2"),
    Case(sample="resume", why="a second turn", exit=OK, kind=None, says="nothing to add", resumes=SESSION),
    Case(sample="tool-readonly", why="a tool ran", exit=OK, kind=None, says="MOCK-OK turns=4"),
    Case(sample="tool-twice", why="it talks on its way", exit=OK, kind=None, says="done"),
    Case(
        sample="tool-denied", why="it may not, and gives up at once",
        exit=FAILED, kind=FailureKind.PERMISSION, says="insufficient permission to proceed",
    ),
    Case(
        sample="resume-unknown", why="it takes the unknown name for a new session's",
        exit=OK, kind=FailureKind.PROTOCOL, says="instead of going on", is_alive=False, resumes=UNKNOWN,
    ),
    Case(
        sample="resume-unknown-tool", why="as many messages as it told of: none was there before",
        exit=OK, kind=FailureKind.PROTOCOL, says="instead of going on", is_alive=False, resumes=UNKNOWN,
    ),
    Case(
        sample="resume-no-api", why="it cannot reach its vendor and says nothing at all",
        exit=FAILED, kind=FailureKind.NETWORK, says="does not reach Factory's API", resumes=SESSION,
    ),
    Case(
        sample="err-e401", why="a login of the model's service; no answer, so no session",
        exit=FAILED, kind=FailureKind.AUTH, says="401 ", is_alive=False,
    ),
    Case(
        sample="no-login", why="a login of its own",
        exit=FAILED, kind=FailureKind.AUTH, says="Authentication failed", is_alive=False,
    ),
    Case(
        sample="err-e429", why="after a minute and a half",
        exit=FAILED, kind=FailureKind.RATE_LIMIT, says="429 ", is_alive=False,
    ),
    Case(
        sample="err-e500", why="after four minutes",
        exit=FAILED, kind=FailureKind.NETWORK, says="500 ", is_alive=False,
    ),
    Case(
        sample="err-drop", why="half an answer",
        exit=FAILED, kind=FailureKind.NETWORK, says="Connection error.", is_alive=False,
    ),
    Case(
        sample="err-context", why="a 400 for a full context",
        exit=FAILED, kind=FailureKind.CONTEXT_LENGTH, says="prompt is too long", is_alive=False,
    ),
    Case(
        sample="err-credit", why="a 400 for an empty purse",
        exit=FAILED, kind=FailureKind.QUOTA, says="credit balance", is_alive=False,
    ),
    Case(
        sample="sigTERM", why="it exits with 0 though it was stopped",
        exit=OK, kind=FailureKind.PROTOCOL, says="exited with code 0 without a completion", is_alive=False,
    ),
    Case(
        sample="wrong-flag", why="stderr alone tells it",
        exit=FAILED, kind=FailureKind.CRASH, says="unknown option '--nonesuch'",
    ),
    Case(
        sample="wrong-model", why="the line that names it comes before all that would be right",
        exit=FAILED, kind=FailureKind.CRASH, says="Invalid model: custom:nope",
    ),
)  # fmt: skip


def line(**record: Any) -> bytes:
    """A record as a line."""
    return json.dumps(record).encode() + b"\n"


def said(text: str, id: str = "m1") -> bytes:
    """A message of the assistant."""
    return line(type="message", role="assistant", id=id, text=text)


def error(message: str, source: str = "agent_loop") -> bytes:
    """A record that tells of trouble."""
    return line(type="error", source=source, message=message)


def completion(turns: int = 1, text: str = "done") -> bytes:
    """The last record of a good run."""
    return line(type="completion", finalText=text, numTurns=turns)


def invocation(**more: Any) -> Invocation:
    """A first turn without any choice made."""
    fields = {"agent_id": "a", "command": ("droid",), "session_id": SESSION, "is_resume": False}
    return Invocation(**{**fields, "prompt_file": Path("/spool/prompt"), **more})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sample)
def test_a_recorded_run_comes_to_its_outcome(case: Case) -> None:
    """Kind, text and whether the session lives on are read as the table says."""
    comes_to(case, DroidReader(case.resumes), "factory-droid")


def test_every_recorded_run_is_in_the_table() -> None:
    """No sample lies about unread."""
    assert samples_of("factory-droid") == sorted(case.sample for case in CASES)


def test_a_session_begins_with_the_prompt_on_standard_input() -> None:
    """No flag is there that nobody configured, and no session, for Droid names its own."""
    command = FactoryDroid().command(invocation())
    assert command.argv == ("droid", "exec", "--output-format", "stream-json")
    assert command.stdin == Path("/spool/prompt")
    assert command.env == {"FACTORY_DROID_AUTO_UPDATE_ENABLED": "false"}


def test_a_session_is_resumed_with_model_and_flags() -> None:
    """The model and the configured flags come last, so that flags have the last word."""
    flags = ("--auto", "low")
    argv = FactoryDroid().command(invocation(is_resume=True, model="custom:m", flags=flags)).argv
    assert argv[4:] == ("--session-id", SESSION, "--model", "custom:m", *flags)


@pytest.mark.parametrize(
    ("flags", "skips"), [((), False), (("--auto", "high"), False), (("--skip-permissions-unsafe",), True)]
)
def test_flags_that_skip_permissions_are_known(flags: tuple[str, ...], skips: bool) -> None:
    """Every level of autonomy still refuses something."""
    assert FactoryDroid().skips_permissions(flags) is skips


def test_the_bill_of_a_session_is_its_own_sum() -> None:
    """The figures count from the first turn on; there is no price."""
    reader = fed(DroidReader(SESSION), stdout_of("resume", "factory-droid"))
    outcome = reader.outcome(OK)
    assert outcome.usage == Usage(input_tokens=22, output_tokens=14)
    assert (outcome.counts_session, outcome.cost_usd, reader.session_id) == (True, None, SESSION)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ('403 {"type":"error"}', FailureKind.AUTH),
        ('503 {"type":"error"}', FailureKind.NETWORK),
        ('529 {"error":{"type":"overloaded_error"}}', FailureKind.RATE_LIMIT),
        ('400 {"error":{"message":"odd"}}', FailureKind.UNKNOWN),
        ("Requested model was not found on the API provider", FailureKind.UNKNOWN),
    ],
)
def test_a_failed_run_gets_the_kind_of_its_words_then_of_its_status(message: str, kind: FailureKind) -> None:
    """The reason is the agent loop's; the CLI's own "Exec failed" hides none."""
    reader = fed(DroidReader(), error(message) + error("Exec failed", "cli"))
    outcome = reader.outcome(FAILED)
    assert (outcome.kind, outcome.error, reader.is_final) == (kind, message, True)


def test_a_failure_without_a_reason_is_unknown() -> None:
    """All that it may say is that it failed."""
    outcome = fed(DroidReader(), error("Exec failed", "cli")).outcome(FAILED)
    assert (outcome.kind, outcome.error) == (
        FailureKind.UNKNOWN,
        "Exec failed, and Droid does not say why",
    )


def test_trouble_that_it_gets_over_is_no_failure() -> None:
    """The kind stands until the model answers after all."""
    reader = fed(DroidReader(), error('529 {"error":"overloaded"}'))
    assert (reader.early_kind, reader.is_final) == (FailureKind.RATE_LIMIT, False)
    assert reader.outcome(KILLED).kind is FailureKind.RATE_LIMIT
    reader = fed(reader, said("here I am"))
    assert reader.early_kind is None
    assert (reader.outcome(KILLED).kind, reader.outcome(KILLED).content) == (FailureKind.CRASH, "here I am")
    assert fed(reader, completion()).outcome(OK).kind is None


@pytest.mark.parametrize(
    ("why", "exit_", "kind"),
    [
        ("a plain end", OK, None),
        ("stopped while it lingered", KILLED, None),
        ("its own failure takes the completion back", FAILED, FailureKind.CRASH),
    ],
)
def test_only_its_own_failure_takes_a_completion_back(
    why: str, exit_: Exit, kind: FailureKind | None
) -> None:
    """A CLI that is stopped after its last word has still done its work."""
    reader = fed(DroidReader(), said("done") + completion())
    assert reader.is_final
    assert reader.outcome(exit_).kind is kind, why


def test_exit_0_is_no_proof() -> None:
    """Without a completion nothing was proved."""
    outcome = fed(DroidReader(), said("half")).outcome(OK)
    assert (outcome.kind, outcome.content) == (FailureKind.PROTOCOL, "half")


@pytest.mark.parametrize(
    ("why", "resumes", "turns", "alive"),
    [
        ("a first turn has nothing before it", None, 2, True),
        ("one message more than this run's: there was a turn before", SESSION, 3, True),
        ("this run's alone: the session is a new one", SESSION, 2, False),
    ],
)
def test_a_session_that_holds_nothing_but_this_run_was_unknown(
    why: str, resumes: str | None, turns: int, alive: bool
) -> None:
    """A message that asks for a tool may say something, too, and is one all the same."""
    call = line(type="tool_call", id="t1", messageId="m1", toolName="Execute", parameters={})
    run = said("I look.", "m1") + call + line(type="tool_result", id="t1") + said("done", "m2")
    outcome = fed(DroidReader(resumes), run + completion(turns)).outcome(OK)
    assert outcome.session_is_alive is alive, why
    assert outcome.kind is (None if alive else FailureKind.PROTOCOL)


def test_odd_figures_cost_neither_the_proof_nor_what_stands_beside_them() -> None:
    """That the session was unknown is still read from the count of messages."""
    odd = line(type="completion", finalText="done", numTurns=1, usage={"input_tokens": 12.5})
    whole = fed(DroidReader(), said("done") + odd).outcome(OK)
    assert (whole.kind, whole.content, whole.usage) == (None, "done", None)
    assert fed(DroidReader(SESSION), said("done") + odd).outcome(OK).kind is FailureKind.PROTOCOL


def test_a_first_turn_without_an_answer_is_begun_anew() -> None:
    """Resumed, it could not be told from a session that Droid does not know."""
    begun = line(type="system", subtype="init", session_id=SESSION)
    assert not fed(DroidReader(), begun).outcome(KILLED).session_is_alive
    assert fed(DroidReader(), begun + said("x")).outcome(KILLED).session_is_alive
    assert fed(DroidReader(SESSION), begun).outcome(KILLED).session_is_alive


def test_a_call_runs_until_its_result() -> None:
    """Silence counts as a tool at work between the two records."""
    call = line(type="tool_call", id="t1", messageId="m1", toolName="Execute", parameters={"command": "make"})
    reader = fed(DroidReader(), call)
    assert (reader.tools.running, reader.tools.count) == ('Execute {"command": "make"}', 1)
    reader.stdout(line(type="tool_result", id="t1"))
    assert reader.tools.running is None


#: Values of every JSON type, some of them almost right.
_VALUES = st.sampled_from([
    None, True, 0, -1.5, "", "x", "assistant", "cli", [], [1], {}, {"input_tokens": "many"},
])  # fmt: skip
_RECORDS = st.fixed_dictionaries(
    {"type": st.sampled_from(["system", "message", "tool_call", "tool_result", "error", "completion"])},
    optional=dict.fromkeys(
        (
            "subtype",
            "session_id",
            "id",
            "messageId",
            "role",
            "text",
            "source",
            "message",
            "numTurns",
            "usage",
        ),
        _VALUES,
    ),
)


@given(st.lists(st.one_of(st.binary(max_size=200), _RECORDS.map(lambda record: line(**record))), max_size=6))
def test_no_bytes_and_no_shape_of_a_known_record_break_the_reader(lines: list[bytes]) -> None:
    """Nothing ever raises, and without a completion there is no success."""
    reader = DroidReader("asked")
    for data in lines:
        reader.stdout(data)
        reader.stderr(data)
    is_success = reader.outcome(OK).kind is None
    assert not is_success or any(b"completion" in data for data in lines)
