"""The real Qwen Code, pinned, against a loopback model service: our driver speaks its language.

Refusals that it tries again take it minutes; those are read from recorded runs.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from kokino.agents.drivers.contract import Usage
from kokino.agents.drivers.registry import driver_named
from kokino.agents.failures import FailureKind
from tests.fixtures.real_clis import QWEN
from tests.model_server import Answer, Failure, ModelServer, ToolUse
from tests.plain_runs import Agent


@pytest.fixture
def qwen(real_qwen: Path, qwen_env: dict[str, str], tmp_path: Path) -> Agent:
    """The real CLI with a HOME and a working directory of its own."""
    return Agent(driver=driver_named("qwen"), command=(str(real_qwen),), folder=tmp_path, env=qwen_env)


def a_session() -> str:
    """An id as Qwen Code demands it."""
    return str(uuid.uuid4())


def test_the_second_turn_carries_the_first_and_counts_it(qwen: Agent, model_server: ModelServer) -> None:
    """Turn 1 reaches the model again; usage is the sum of both: 8 + 3 cached in and 7 out each."""
    session = a_session()
    model_server.script(Answer(text="I shall remember the heron."), Answer(text="It was a heron."))
    first = qwen.run("Remember the word heron.", session)
    second = qwen.run("Which word was it?", session, is_resume=True)
    assert (first.outcome.kind, first.outcome.content) == (None, "I shall remember the heron.")
    assert (second.outcome.kind, second.outcome.content) == (None, "It was a heron.")
    assert first.reader.session_id == second.reader.session_id == session
    carried = "\n".join(model_server.requests[1].texts)
    assert "Remember the word heron." in carried
    assert "I shall remember the heron." in carried
    once = Usage(input_tokens=8, output_tokens=7, cache_read_tokens=3)
    twice = Usage(input_tokens=16, output_tokens=14, cache_read_tokens=6)
    assert (first.outcome.usage, second.outcome.usage) == (once, twice)
    assert second.outcome.counts_session
    assert second.reader.version == QWEN.version
    assert (second.reader.unknown_records, second.reader.garbage_lines) == (0, 0)
    assert model_server.strangers == []


def test_an_unknown_session_is_told_as_gone(qwen: Agent, model_server: ModelServer) -> None:
    """Resuming what never was fails without asking the model, and the next turn must start anew."""
    run = qwen.run("go on", a_session(), is_resume=True)
    assert (run.outcome.kind, run.outcome.session_is_alive) == (FailureKind.PROTOCOL, False)
    assert model_server.requests == []


def test_a_refused_login_is_no_success(qwen: Agent, model_server: ModelServer) -> None:
    """Qwen Code exits with 0 and calls the refusal its result: that is told as auth."""
    model_server.script(Failure(status=401))
    run = qwen.run("hello", a_session())
    assert (run.exit.code, run.outcome.kind) == (0, FailureKind.AUTH), run.outcome.error
    assert "401" in (run.outcome.error or "")
    assert run.outcome.session_is_alive


def test_a_tool_runs_and_its_result_reaches_the_model(
    qwen: Agent, model_server: ModelServer, tmp_path: Path
) -> None:
    """A call is carried out by the real CLI, seen as running, and answered."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "heron.txt").touch()
    model_server.script(
        ToolUse(tool="list_directory", input={"path": str(work)}), Answer(text="There is a heron.")
    )
    run = qwen.run("look", a_session())
    assert (run.outcome.kind, run.outcome.content) == (None, "There is a heron.")
    assert "heron.txt" in model_server.requests[1].texts[-1]
    reader, tools = qwen.driver.reader(), []
    for line in run.stdout.splitlines():
        reader.stdout(line)
        tools.append(reader.tools.running)
    assert any("list_directory" in tool for tool in tools if tool)
    assert tools[-1] is None
