"""The real Claude Code behind the API: a session of two turns, a refused login, a cancelled tool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kokino.testing.broker import TestBroker
from tests.acceptance.serving import processes_of
from tests.model_server import Answer, Failure, ModelServer, ToolUse
from tests.sleepers import a_length, sleepers

#: Of the tool that is to be cancelled, in seconds.
SLEEPS = a_length()
#: Far longer than a real CLI takes to start, in seconds.
PATIENCE = 60


@pytest.fixture
async def broker(tmp_path: Path, real_claude: Path) -> AsyncIterator[TestBroker]:
    """A broker whose claude-code is the real one."""
    toml = f'[cli_types.claude-code]\ncommand = ["{real_claude}"]\n'
    async with TestBroker(tmp_path / "home", toml) as started:
        yield started


@pytest.fixture
async def agent(broker: TestBroker, tmp_path: Path, claude_env: dict[str, str]) -> str:
    """The id of an agent with a HOME, a login and a model service of its own; it tries once."""
    cwd = tmp_path / "work"
    cwd.mkdir()
    assert claude_env["CLAUDE_CODE_MAX_RETRIES"] == "0"
    registered = await broker.post(
        "/agents/register",
        agentId="claude",
        cliType="claude-code",
        cwd=str(cwd),
        env=claude_env,
        flags=["--allowedTools", "Bash"],
    )
    return str(registered["agentId"])


async def test_two_turns_of_one_session_go_through_the_api(
    broker: TestBroker, agent: str, model_server: ModelServer
) -> None:
    """The second execution resumes the first one's session: the model is told again what was said."""
    model_server.script(Answer(text="I shall remember the heron."), Answer(text="It was a heron."))

    first = (await broker.execute(agent, "Remember the word heron.")).json()
    second = (await broker.execute(agent, "Which word was it?")).json()

    assert (first["success"], first["content"]) == (True, "I shall remember the heron.")
    assert (second["success"], second["content"]) == (True, "It was a heron.")
    assert first["conversationId"] == second["conversationId"]
    assert first["metadata"]["sessionId"] == second["metadata"]["sessionId"]
    carried = "\n".join(model_server.requests[1].texts)
    assert "Remember the word heron." in carried
    assert "I shall remember the heron." in carried
    turns = (await broker.get(f"/agents/{agent}/conversation"))["items"]
    assert [(turn["role"], turn["content"]) for turn in turns] == [
        ("user", "Remember the word heron."),
        ("assistant", "I shall remember the heron."),
        ("user", "Which word was it?"),
        ("assistant", "It was a heron."),
    ]


async def test_a_session_that_was_ended_is_not_resumed(
    broker: TestBroker, agent: str, model_server: ModelServer
) -> None:
    """After end-session the model hears nothing of what was said before."""
    assert (await broker.execute(agent, "Remember the word heron.")).status_code == 200

    await broker.post(f"/agents/{agent}/end-session")

    assert (await broker.execute(agent, "Which word was it?")).status_code == 200
    assert "heron" not in "\n".join(model_server.requests[1].texts)


async def test_a_refused_login_is_recorded_as_auth(
    broker: TestBroker, agent: str, model_server: ModelServer
) -> None:
    """A 401 fails the execution with its kind, for the caller, in the record and in the figures."""
    model_server.script(Failure(status=401))

    answer = await broker.execute(agent)

    problem = answer.json()
    assert (answer.status_code, problem["error"]) == (502, "auth")
    assert answer.headers["content-type"] == "application/problem+json"
    recorded = await broker.get(f"/executions/{problem['execution']['executionId']}")
    assert (recorded["state"], recorded["kind"], recorded["exitCode"]) == ("failed", "auth", 1)
    assert "401" in recorded["error"]
    (by_cli,) = await broker.get("/api/metrics/failures/by-cli")
    assert (by_cli["cliType"], by_cli["kinds"]) == ("claude-code", {"auth": 1})


async def test_cancelling_in_mid_tool_leaves_no_process(
    broker: TestBroker, agent: str, model_server: ModelServer
) -> None:
    """The tool has a session of its own, and still ends with the execution; it counts as cancelled."""
    command = f"python3 -c 'import time; time.sleep({SLEEPS})'"
    model_server.script(ToolUse(tool="Bash", input={"command": command, "description": "takes long"}))
    accepted = await broker.http.post(
        f"/agents/{agent}/execute", json={"prompt": "Wait."}, headers={"Prefer": "respond-async"}
    )
    execution = accepted.json()["executionId"]
    async with asyncio.timeout(PATIENCE):
        while not sleepers(SLEEPS):
            await asyncio.sleep(0.05)

    cancelled = await broker.post(f"/agents/{agent}/execute/cancel")

    assert (cancelled["status"], cancelled["execution"]["executionId"]) == ("cancelled", execution)
    assert sleepers(SLEEPS) == []
    assert processes_of({execution}) == []
    (status,) = await broker.get("/agents/sessions/status")
    assert not status["locked"]
