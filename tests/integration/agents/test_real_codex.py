"""The real Codex, pinned, against a loopback model service: our driver speaks its language."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from kokino.agents.drivers.contract import Usage
from kokino.agents.drivers.registry import driver_named
from kokino.agents.failures import FailureKind
from tests.model_server import Answer, Drop, Failure, ModelServer, Reply, ToolUse
from tests.plain_runs import Agent

#: Ours to choose, but Codex names its sessions itself.
UNUSED = "4abd6c4e-c8bf-4f1d-b9ec-cd8ca6e7dc74"


@pytest.fixture
def codex(real_codex: Path, codex_env: dict[str, str], tmp_path: Path) -> Agent:
    """The real CLI with a HOME and a working directory of its own."""
    return Agent(driver=driver_named("codex"), command=(str(real_codex),), folder=tmp_path, env=codex_env)


def test_the_second_turn_of_a_session_carries_the_first(codex: Agent, model_server: ModelServer) -> None:
    """What was said in turn 1 reaches the model again in turn 2, in the session that Codex named."""
    model_server.script(Answer(text="I shall remember the heron."), Answer(text="It was a heron."))
    flags = ("--sandbox", "workspace-write")
    first = codex.run("Remember the word heron.", UNUSED, flags=flags)
    session = first.reader.session_id
    assert session not in {None, UNUSED}
    second = codex.run("Which word was it?", str(session), is_resume=True, flags=flags)
    assert (first.outcome.kind, first.outcome.content) == (None, "I shall remember the heron.")
    assert (second.outcome.kind, second.outcome.content) == (None, "It was a heron.")
    assert (second.reader.session_id, second.outcome.session_is_alive) == (session, True)
    carried = "\n".join(model_server.requests[1].texts)
    assert "Remember the word heron." in carried
    assert "I shall remember the heron." in carried
    assert model_server.strangers == []


def test_usage_counts_from_the_sessions_first_turn(codex: Agent) -> None:
    """The second turn's figures hold the first one's: 8 + 3 cached in and 7 out, each time."""
    first = codex.run("hello", UNUSED)
    second = codex.run("again", str(first.reader.session_id), is_resume=True)
    once = Usage(input_tokens=8, output_tokens=7, cache_read_tokens=3)
    twice = Usage(input_tokens=16, output_tokens=14, cache_read_tokens=6)
    assert (first.outcome.usage, second.outcome.usage) == (once, twice)
    assert first.outcome.counts_session
    assert (second.reader.unknown_records, second.reader.garbage_lines) == (0, 0)


def test_an_unknown_session_is_told_as_gone(codex: Agent, model_server: ModelServer) -> None:
    """Resuming what never was fails without asking the model, and the next turn must start anew."""
    run = codex.run("go on", str(uuid.uuid4()), is_resume=True)
    assert (run.outcome.kind, run.outcome.session_is_alive) == (FailureKind.PROTOCOL, False)
    assert "no rollout found" in (run.outcome.error or "")
    assert model_server.requests == []


def test_a_session_begun_in_place_of_the_one_asked_for_is_no_success(codex: Agent) -> None:
    """An id that is none makes Codex begin a new session and exit with 0: that is told."""
    run = codex.run("go on", "no-uuid", is_resume=True)
    assert run.exit.code == 0
    assert (run.outcome.kind, run.outcome.session_is_alive) == (FailureKind.PROTOCOL, False)
    assert "instead of going on with no-uuid" in (run.outcome.error or "")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Failure(status=401), FailureKind.AUTH),
        (Failure(status=429), FailureKind.RATE_LIMIT),
        (Failure(status=400, code="context_length_exceeded"), FailureKind.CONTEXT_LENGTH),
        (Failure(status=429, code="usage_limit_reached"), FailureKind.QUOTA),
        (Failure(status=503, code="server_is_overloaded"), FailureKind.RATE_LIMIT),
        (Failure(status=500), FailureKind.NETWORK),
        (Failure(status=503), FailureKind.NETWORK),
        (Drop(after_events=3), FailureKind.NETWORK),
    ],
    ids=str,
)
def test_a_refusal_of_the_service_gets_its_kind(
    codex: Agent, model_server: ModelServer, reply: Reply, kind: FailureKind
) -> None:
    """The real CLI's own report of each error is read as that error, and its session goes on."""
    model_server.script(reply)
    run = codex.run("hello", UNUSED)
    assert (run.outcome.kind, run.exit.code) == (kind, 1), run.outcome.error
    assert run.outcome.session_is_alive


def test_a_missing_key_is_told_as_auth(codex: Agent, model_server: ModelServer) -> None:
    """Without its key Codex asks nobody."""
    keyless = replace(codex, env={name: value for name, value in codex.env.items() if name != "LOOPBACK_KEY"})
    run = keyless.run("hello", UNUSED)
    assert run.outcome.kind is FailureKind.AUTH, run.outcome.error
    assert model_server.requests == []


def test_a_retry_tells_the_kind_before_the_end(codex: Agent, model_server: ModelServer) -> None:
    """Where Codex tries again, its record names the reason, and an answer lifts it."""
    model_server.script(Failure(status=401), Answer(text="at last"))
    once_more = ("-c", "model_providers.loopback.stream_max_retries=1")
    run = codex.run("hello", UNUSED, flags=once_more)
    reader, early = codex.driver.reader(), []
    for line in run.stdout.splitlines():
        reader.stdout(line)
        early.append(reader.early_kind)
    assert FailureKind.AUTH in early
    assert (early[-1], run.outcome.kind, run.outcome.content) == (None, None, "at last")


def test_a_tool_runs_and_its_result_reaches_the_model(codex: Agent, model_server: ModelServer) -> None:
    """A call is carried out by the real CLI, seen as running, and answered; a repetition is seen."""
    call = ToolUse(tool="exec_command", input={"cmd": "echo tool-$((20 + 1))"})
    model_server.script(call, call, Answer(text="it says 21"))
    run = codex.run("count", UNUSED)
    assert (run.outcome.kind, run.outcome.content) == (None, "it says 21")
    assert "tool-21" in model_server.requests[2].texts[-1]
    reader, tools = codex.driver.reader(), []
    for line in run.stdout.splitlines():
        reader.stdout(line)
        tools.append(reader.tools.running)
    assert any("echo tool-" in tool for tool in tools if tool)
    assert tools[-1] is None
    assert (reader.tools.count, reader.tools.repeats) == (2, 2)


def test_a_wrong_flag_is_named(codex: Agent) -> None:
    """Of all that Codex says about it, the error is the line that names the flag."""
    outcome = codex.run("hello", UNUSED, flags=("--nonesuch",)).outcome
    assert outcome.kind is FailureKind.CRASH
    assert "unexpected argument '--nonesuch'" in (outcome.error or "")
