"""The real Droid, pinned, against a loopback model service: our driver speaks its language."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from kokino.agents.drivers.contract import Usage
from kokino.agents.drivers.registry import driver_named
from kokino.agents.failures import FailureKind
from tests.model_server import Answer, Failure, ModelServer, ToolUse
from tests.plain_runs import Agent

#: Ours to choose, but Droid names its sessions itself.
UNUSED = "4abd6c4e-c8bf-4f1d-b9ec-cd8ca6e7dc74"
MODEL = ("--model", "custom:m")


@pytest.fixture
def droid(real_droid: Path, droid_env: dict[str, str], tmp_path: Path) -> Agent:
    """The real CLI with a HOME and a working directory of its own."""
    return Agent(driver=driver_named("droid"), command=(str(real_droid),), folder=tmp_path, env=droid_env)


def test_the_second_turn_of_a_session_carries_the_first(droid: Agent, model_server: ModelServer) -> None:
    """Turn 1 reaches the model again in turn 2, and its figures are among those of turn 2."""
    model_server.script(Answer(text="I shall remember the heron."), Answer(text="It was a heron."))
    first = droid.run("Remember the word heron.", UNUSED, flags=MODEL)
    session = first.reader.session_id
    assert session not in {None, UNUSED}
    second = droid.run("Which word was it?", str(session), is_resume=True, flags=MODEL)
    assert (first.outcome.kind, first.outcome.content) == (None, "I shall remember the heron.")
    assert (second.outcome.kind, second.outcome.content) == (None, "It was a heron.")
    assert (second.reader.session_id, second.outcome.session_is_alive) == (session, True)
    carried = "\n".join(model_server.requests[1].texts)
    assert "Remember the word heron." in carried
    assert "I shall remember the heron." in carried
    assert first.outcome.usage == Usage(input_tokens=11, output_tokens=7)
    assert second.outcome.usage == Usage(input_tokens=22, output_tokens=14)
    assert (first.reader.unknown_records, first.reader.garbage_lines) == (0, 0)


def test_an_unknown_session_is_told_as_gone(droid: Agent) -> None:
    """Droid begins a new one under that name and exits with 0: that is told."""
    run = droid.run("go on", str(uuid.uuid4()), is_resume=True, flags=MODEL)
    assert run.exit.code == 0
    assert (run.outcome.kind, run.outcome.session_is_alive) == (FailureKind.PROTOCOL, False)


def test_a_refusal_of_the_service_gets_its_kind(droid: Agent, model_server: ModelServer) -> None:
    """The real CLI's own report of an error is read as that error."""
    model_server.script(Failure(status=401))
    run = droid.run("hello", UNUSED, flags=MODEL)
    assert (run.outcome.kind, run.exit.code) == (FailureKind.AUTH, 1), run.outcome.error


def test_a_tool_runs_and_its_result_reaches_the_model(droid: Agent, model_server: ModelServer) -> None:
    """A call is carried out by the real CLI, seen as running, and answered."""
    command = {
        "command": "printf tool-%d 21",
        "summary": "counts",
        "riskLevelReason": "none",
        "riskLevel": "low",
    }
    model_server.script(ToolUse(tool="Execute", input=command), Answer(text="it says 21"))
    run = droid.run("count", UNUSED, flags=(*MODEL, "--auto", "low"))
    assert (run.outcome.kind, run.outcome.content) == (None, "it says 21")
    assert "tool-21" in model_server.requests[1].texts[-1]
    reader, tools = droid.driver.reader(), []
    for line in run.stdout.splitlines():
        reader.stdout(line)
        tools.append(reader.tools.running)
    assert any("printf tool-" in tool for tool in tools if tool)
    assert (tools[-1], reader.tools.count) == (None, 1)
