"""The real OpenCode, pinned, against a loopback model service: our driver speaks its language.

It is slow to start, so one session of two turns serves several tests; what it says of refusals is read from
recorded runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kokino.agents.drivers.contract import Usage
from kokino.agents.drivers.registry import driver_named
from kokino.agents.failures import FailureKind
from tests.fixtures.real_clis import OPENCODE, opencode_environment
from tests.model_server import Answer, ModelServer, ToolUse
from tests.plain_runs import Agent, Run

#: Ours to choose, but OpenCode names its sessions itself.
UNUSED = "4abd6c4e-c8bf-4f1d-b9ec-cd8ca6e7dc74"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """A session of two turns; the second one calls a tool."""

    first: Run
    second: Run
    model_server: ModelServer


def an_agent(binary: Path, folder: Path, model_server: ModelServer) -> Agent:
    """The real CLI with a HOME and a working directory of its own."""
    env = opencode_environment(folder / "home", model_server)
    return Agent(driver=driver_named("opencode"), command=(str(binary),), folder=folder, env=env)


@pytest.fixture(scope="module")
def turns(real_opencode: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Turns]:
    """The two turns, run once."""
    command = {"command": "echo tool-$((20 + 1))", "description": "counts"}
    with ModelServer() as model_server:
        agent = an_agent(real_opencode, tmp_path_factory.mktemp("opencode"), model_server)
        model_server.script(Answer(text="I shall remember the heron."))
        model_server.script(ToolUse(tool="bash", input=command), Answer(text="The heron is 21."))
        first = agent.run("Remember the word heron.", UNUSED)
        second = agent.run("Count the heron.", str(first.reader.session_id), is_resume=True)
        yield Turns(first=first, second=second, model_server=model_server)


def test_the_second_turn_of_a_session_carries_the_first(turns: Turns) -> None:
    """What was said in turn 1 reaches the model again in turn 2, in the session that OpenCode named."""
    first, second = turns.first, turns.second
    assert (first.outcome.kind, first.outcome.content) == (None, "I shall remember the heron.")
    assert (second.outcome.kind, second.outcome.content) == (None, "The heron is 21.")
    assert first.reader.session_id == second.reader.session_id
    assert first.reader.session_id not in {None, UNUSED}
    carried = "\n".join(turns.model_server.requests[1].texts)
    assert "Remember the word heron." in carried
    assert "I shall remember the heron." in carried


def test_nothing_is_asked_of_the_model_but_the_prompts(turns: Turns) -> None:
    """One answer, one call and one answer: no request for a title among them."""
    assert (len(turns.model_server.requests), turns.model_server.strangers) == (3, [])


def test_usage_and_cost_are_each_turns_own(turns: Turns) -> None:
    """8 and 3 cached in, 5 and 2 of thinking out for each answer, at the prices of the settings."""
    price = (8 * 1 + 7 * 2 + 3 * 0.1) / 1e6
    once, twice = turns.first.outcome, turns.second.outcome
    assert once.usage == Usage(input_tokens=8, output_tokens=7, cache_read_tokens=3)
    assert twice.usage == Usage(input_tokens=16, output_tokens=14, cache_read_tokens=6)
    assert once.cost_usd == pytest.approx(price)
    assert twice.cost_usd == pytest.approx(2 * price)
    assert not twice.counts_session


def test_the_log_tells_version_and_end(turns: Turns) -> None:
    """What no record says is read from standard error; every record is known."""
    assert turns.first.reader.version == OPENCODE.version
    for run in (turns.first, turns.second):
        assert run.reader.is_final
        assert (run.reader.unknown_records, run.reader.garbage_lines) == (0, 0)


def test_a_tool_runs_and_its_result_reaches_the_model(turns: Turns) -> None:
    """A call is carried out by the real CLI, seen as running by its log, and answered."""
    assert "tool-21" in turns.model_server.requests[2].texts[-1]
    reader, tools = driver_named("opencode").reader(turns.second.reader.session_id), []
    for line in turns.second.stderr.splitlines():
        reader.stderr(line)
        tools.append(reader.tools.running)
    assert any("echo tool-" in tool for tool in tools if tool)
    assert tools[-1] is None
    assert turns.second.reader.tools.count == 1


def test_an_unknown_session_is_told_as_gone(
    real_opencode: Path, model_server: ModelServer, tmp_path: Path
) -> None:
    """Resuming what never was fails without asking the model, and the next turn must start anew."""
    agent = an_agent(real_opencode, tmp_path, model_server)
    run = agent.run("go on", "ses_0000000000000000000000000", is_resume=True)
    assert (run.outcome.kind, run.outcome.session_is_alive) == (FailureKind.PROTOCOL, False)
    assert model_server.requests == []


def test_an_answer_that_was_cut_is_no_success(
    real_opencode: Path, tmp_path: Path, model_server: ModelServer
) -> None:
    """The model stopped at its limit of tokens; OpenCode exits with 0 all the same."""
    model_server.script(Answer(text="The heron is", is_cut=True))
    run = an_agent(real_opencode, tmp_path, model_server).run("What is the heron?", UNUSED)
    assert (run.exit.code, run.outcome.kind) == (0, FailureKind.MAX_TURNS)
    assert run.outcome.content == "The heron is"
