"""The real Claude Code, pinned, against a loopback model service: our driver speaks its language."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from kokino.agents.drivers.registry import driver_named
from kokino.agents.failures import FailureKind
from tests.fixtures.real_clis import CLAUDE
from tests.model_server import Answer, Drop, Failure, Hang, ModelServer, Reply, ToolUse
from tests.plain_runs import Agent


@pytest.fixture
def claude(real_claude: Path, claude_env: dict[str, str], tmp_path: Path) -> Agent:
    """The real CLI with a HOME and a working directory of its own."""
    return Agent(
        driver=driver_named("claude-code"), command=(str(real_claude),), folder=tmp_path, env=claude_env
    )


def with_env(agent: Agent, **more: str) -> Agent:
    """The same agent with more in its environment."""
    return replace(agent, env={**agent.env, **more})


def a_session() -> str:
    """An id as Claude Code demands it."""
    return str(uuid.uuid4())


def test_the_second_turn_of_a_session_carries_the_first(claude: Agent, model_server: ModelServer) -> None:
    """What was said in turn 1 reaches the model again in turn 2, through --resume."""
    session = a_session()
    model_server.script(Answer(text="I shall remember the heron."), Answer(text="It was a heron."))
    first = claude.run("Remember the word heron.", session)
    second = claude.run("Which word was it?", session, is_resume=True)
    assert (first.outcome.kind, first.outcome.content) == (None, "I shall remember the heron.")
    assert (second.outcome.kind, second.outcome.content) == (None, "It was a heron.")
    assert first.reader.session_id == second.reader.session_id == session
    carried = "\n".join(model_server.requests[1].texts)
    assert "Remember the word heron." in carried
    assert "I shall remember the heron." in carried
    assert model_server.strangers == []


def test_version_usage_and_cost_are_read(claude: Agent) -> None:
    """The figures of a run come from its own records."""
    run = claude.run("hello", a_session())
    assert run.reader.version == CLAUDE.version
    assert run.outcome.usage is not None
    assert (run.outcome.usage.input_tokens, run.outcome.usage.output_tokens) == (11, 7)
    assert run.outcome.cost_usd is not None
    assert run.outcome.cost_usd > 0
    assert (run.reader.unknown_records, run.reader.garbage_lines) == (0, 0)


def test_an_unknown_session_is_told_as_gone(claude: Agent, model_server: ModelServer) -> None:
    """Resuming what never was fails without asking the model, and the next turn must start anew."""
    run = claude.run("go on", a_session(), is_resume=True)
    assert run.outcome.kind is FailureKind.PROTOCOL
    assert not run.outcome.session_is_alive
    assert model_server.requests == []


def test_a_session_id_is_used_once(claude: Agent) -> None:
    """Beginning a session that exists is refused, and the next turn must start anew."""
    session = a_session()
    assert claude.run("one", session).outcome.kind is None
    again = claude.run("two", session)
    assert (again.outcome.kind, again.outcome.session_is_alive) == (FailureKind.PROTOCOL, False)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Failure(status=401), FailureKind.AUTH),
        (Failure(status=403), FailureKind.AUTH),
        (Failure(status=400, message="Your credit balance is too low to go on."), FailureKind.QUOTA),
        (Failure(status=429, retry_after=1), FailureKind.RATE_LIMIT),
        (Failure(status=500), FailureKind.NETWORK),
        (Failure(status=529), FailureKind.RATE_LIMIT),
        (Drop(after_events=3), FailureKind.NETWORK),
    ],
    ids=str,
)
def test_a_refusal_of_the_service_gets_its_kind(
    claude: Agent, model_server: ModelServer, reply: Reply, kind: FailureKind
) -> None:
    """The real CLI's own report of each error is read as that error."""
    model_server.script(reply)
    run = claude.run("hello", a_session())
    assert (run.outcome.kind, run.exit.code) == (kind, 1), run.outcome.error


def test_a_service_that_hangs_is_told_as_the_network(claude: Agent, model_server: ModelServer) -> None:
    """Where the CLI's own timeout ends the wait, the kind is network."""
    model_server.default = Hang()
    run = with_env(claude, API_TIMEOUT_MS="500").run("hello", a_session())
    assert (run.outcome.kind, run.exit.code) == (FailureKind.NETWORK, 1), run.outcome.error


def test_a_session_whose_first_turn_was_refused_goes_on(claude: Agent, model_server: ModelServer) -> None:
    """A login that was mended finds the session where it was left."""
    session = a_session()
    model_server.script(Failure(status=401))
    refused = claude.run("The word is heron.", session)
    assert (refused.outcome.kind, refused.outcome.session_is_alive) == (FailureKind.AUTH, True)
    assert claude.run("Which word?", session, is_resume=True).outcome.kind is None
    assert "The word is heron." in "\n".join(model_server.requests[-1].texts)


def test_a_retry_record_tells_the_kind_before_the_end(claude: Agent, model_server: ModelServer) -> None:
    """Where the CLI tries again, its retry record names the reason, and an answer lifts it."""
    model_server.script(Failure(status=529), Answer(text="at last"))
    patient = with_env(claude, CLAUDE_CODE_MAX_RETRIES="1")
    run = patient.run("hello", a_session())
    reader, early = patient.driver.reader(), []
    for line in run.stdout.splitlines():
        reader.stdout(line)
        early.append(reader.early_kind)
    assert FailureKind.RATE_LIMIT in early
    assert (early[-1], run.outcome.kind, run.outcome.content) == (None, None, "at last")


def test_a_tool_runs_and_its_result_reaches_the_model(claude: Agent, model_server: ModelServer) -> None:
    """A tool_use is carried out by the real CLI, seen as running, and answered."""
    command = {"command": "echo tool-$((20 + 1))", "description": "counts"}
    model_server.script(ToolUse(tool="Bash", input=command), Answer(text="it says 21"))
    run = claude.run("count", a_session(), flags=("--allowedTools", "Bash"))
    assert (run.outcome.kind, run.outcome.content) == (None, "it says 21")
    assert "tool-21" in model_server.requests[1].texts[-1]
    reader, tools = claude.driver.reader(), []
    for line in run.stdout.splitlines():
        reader.stdout(line)
        tools.append(reader.tools.running is not None)
    assert True in tools
    assert tools[-1] is False


def test_a_limit_of_turns_is_told_as_such(claude: Agent, model_server: ModelServer) -> None:
    """--max-turns ends a run with a kind of its own."""
    model_server.default = ToolUse(tool="Bash", input={"command": "echo on", "description": "goes on"})
    run = claude.run("for ever", a_session(), flags=("--max-turns", "1"))
    assert run.outcome.kind is FailureKind.MAX_TURNS


def test_an_answer_that_was_cut_is_no_success(claude: Agent, model_server: ModelServer) -> None:
    """The model stopped at its limit of tokens; Claude Code lets it go on three times, then gives up."""
    model_server.default = Answer(text="The heron is", is_cut=True)
    run = claude.run("What is the heron?", a_session())
    assert run.outcome.kind is FailureKind.MAX_TURNS
    assert len(model_server.requests) == 4
