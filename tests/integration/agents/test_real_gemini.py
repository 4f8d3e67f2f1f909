"""The real Gemini CLI, pinned, against a loopback model service: our driver speaks its language."""

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


@pytest.fixture
def gemini(real_gemini: Path, gemini_env: dict[str, str], tmp_path: Path) -> Agent:
    """The real CLI with a HOME and a working directory of its own."""
    return Agent(driver=driver_named("gemini"), command=(str(real_gemini),), folder=tmp_path, env=gemini_env)


def a_session() -> str:
    """An id as Gemini CLI demands it."""
    return str(uuid.uuid4())


def test_the_second_turn_of_a_session_carries_the_first(gemini: Agent, model_server: ModelServer) -> None:
    """Turn 1 reaches the model again in turn 2, and each turn's figures are its own: 11 in and 9 out."""
    session = a_session()
    model_server.script(Answer(text="I shall remember the heron."), Answer(text="It was a heron."))
    first = gemini.run("Remember the word heron.", session)
    second = gemini.run("Which word was it?", session, is_resume=True)
    assert (first.outcome.kind, first.outcome.content) == (None, "I shall remember the heron.")
    assert (second.outcome.kind, second.outcome.content) == (None, "It was a heron.")
    assert first.reader.session_id == second.reader.session_id == session
    carried = "\n".join(model_server.requests[1].texts)
    assert "Remember the word heron." in carried
    assert "I shall remember the heron." in carried
    turn = Usage(input_tokens=8, output_tokens=9, cache_read_tokens=3)
    assert (first.outcome.usage, second.outcome.usage) == (turn, turn)
    assert (first.reader.unknown_records, first.reader.garbage_lines, model_server.strangers) == (0, 0, [])


def test_an_unknown_session_is_told_as_gone(gemini: Agent, model_server: ModelServer) -> None:
    """Resuming what never was fails without asking the model, and the next turn must start anew."""
    run = gemini.run("go on", a_session(), is_resume=True)
    assert (run.outcome.kind, run.outcome.session_is_alive) == (FailureKind.PROTOCOL, False)
    assert "Error resuming session" in (run.outcome.error or "")
    assert model_server.requests == []


def test_a_prompt_that_is_too_long_is_no_success(gemini: Agent, model_server: ModelServer) -> None:
    """It cuts it at 8 MiB, asks no model for what is still too much, and calls that a success."""
    run = gemini.run("word " * 1_700_000, a_session())
    assert (run.exit.code, run.outcome.kind) == (0, FailureKind.CONTEXT_LENGTH)
    assert run.reader.is_prompt_cut
    assert (model_server.requests, run.outcome.session_is_alive) == ([], False)
    assert "does not fit the model" in (run.outcome.error or "")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Failure(status=400, message="API key not valid. Please pass a valid API key."), FailureKind.AUTH),
        (Drop(after_events=2), FailureKind.NETWORK),
    ],
    ids=["a wrong key", "a broken line"],
)
def test_a_refusal_of_the_service_gets_its_kind(
    gemini: Agent, model_server: ModelServer, reply: Reply, kind: FailureKind
) -> None:
    """The real CLI's own report of each error is read as that error."""
    model_server.script(reply)
    outcome = gemini.run("hello", a_session()).outcome
    assert outcome.kind is kind, outcome.error


def test_a_session_whose_first_turn_was_refused_is_begun_anew(
    gemini: Agent, model_server: ModelServer
) -> None:
    """Gemini CLI neither resumes it nor begins it again: its driver says so before anybody tries."""
    session = a_session()
    model_server.script(Failure(status=401))
    refused = gemini.run("The word is heron.", session)
    assert (refused.outcome.kind, refused.outcome.session_is_alive) == (FailureKind.AUTH, False)
    assert gemini.run("Which word?", session, is_resume=True).outcome.kind is FailureKind.PROTOCOL
    again = gemini.run("Which word?", session).outcome
    assert (again.kind, again.session_is_alive) == (FailureKind.PROTOCOL, False)
    assert "already exists" in (again.error or "")


def test_a_retry_tells_the_kind_before_the_end(gemini: Agent, model_server: ModelServer) -> None:
    """Standard error names the reason of a retry, and an answer after it is a success."""
    model_server.script(Failure(status=429), Answer(text="at last"))
    run = gemini.run("hello", a_session())
    reader, early = gemini.driver.reader(), []
    for line in run.stderr.splitlines():
        reader.stderr(line)
        early.append(reader.early_kind)
    assert FailureKind.RATE_LIMIT in early
    assert (run.outcome.kind, run.outcome.content) == (None, "at last")


def test_a_tool_runs_and_its_result_reaches_the_model(gemini: Agent, model_server: ModelServer) -> None:
    """A call is carried out by the real CLI, seen as running, and answered."""
    call = ToolUse(tool="run_shell_command", input={"command": "printf tool-%d 21", "description": "counts"})
    model_server.script(call, Answer(text="it says 21"))
    run = gemini.run("count", a_session(), flags=("--yolo",))
    assert (run.outcome.kind, run.outcome.content) == (None, "it says 21")
    assert "tool-21" in model_server.requests[1].texts[-1]
    reader, tools = gemini.driver.reader(), []
    for line in run.stdout.splitlines():
        reader.stdout(line)
        tools.append(reader.tools.running)
    assert any("printf tool-" in tool for tool in tools if tool)
    assert (tools[-1], reader.tools.count) == (None, 1)


def test_a_folder_without_trust_is_told_as_permission(gemini: Agent, model_server: ModelServer) -> None:
    """The driver gives no trust by itself."""
    env = {name: value for name, value in gemini.env.items() if name != "GEMINI_CLI_TRUST_WORKSPACE"}
    outcome = replace(gemini, env=env).run("hello", a_session()).outcome
    assert outcome.kind is FailureKind.PERMISSION
    assert "not running in a trusted directory" in (outcome.error or "")
    assert model_server.requests == []
