"""A real agent that speaks the Agent Client Protocol, through a whole broker: Qwen Code, offline."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from kokino.testing.broker import TestBroker
from tests.fixtures.real_clis import QWEN
from tests.model_server import Answer, ModelServer, ToolUse

#: Far longer than anything here takes, in real seconds.
PATIENCE = 60


def toml(command: Path, env: Mapping[str, str]) -> str:
    """One agent of each policy that is tried here, with all that the real CLI is started with."""
    variables = ", ".join(f"{name} = {json.dumps(value)}" for name, value in env.items())
    cli_type = f'[cli_types.qwen-acp]\ndriver = "acp"\ncommand = [{json.dumps(str(command))}, "--acp"]\n'
    agents = "".join(
        f'[[agents]]\nid = "{policy}"\ncli_type = "qwen-acp"\ncwd = "work"\npermissions = "{policy}"\n'
        for policy in ("ask", "allow")
    )
    return f"{cli_type}env = {{ {variables} }}\n{agents}"


@pytest.fixture
async def box(real_qwen: Path, qwen_env: dict[str, str], tmp_path: Path) -> AsyncIterator[TestBroker]:
    """A broker whose agents are real."""
    (tmp_path / "home" / "work").mkdir(parents=True)
    async with TestBroker(tmp_path / "home", toml(real_qwen, qwen_env)) as box:
        yield box


async def until(look: Callable[[], Awaitable[Any]]) -> Any:
    """What `look` gives once that is something."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await look()):
            await asyncio.sleep(0.02)
    return found


async def begun(box: TestBroker, agent: str, prompt: str) -> str:
    """The id of an execution that has been accepted."""
    answer = await box.http.post(
        f"/agents/{agent}/execute", json={"prompt": prompt}, headers={"Prefer": "respond-async"}
    )
    return str(answer.json()["executionId"])


def shell(command: str) -> ToolUse:
    """The model wants to run a command."""
    return ToolUse(tool="run_shell_command", input={"command": command, "is_background": False})


async def test_the_second_turn_carries_the_first(box: TestBroker, model_server: ModelServer) -> None:
    """The session is loaded, what was said in it reaches the model again, and is no part of the answer."""
    model_server.script(Answer(text="I shall remember the heron."), Answer(text="It was a heron."))
    first = (await box.execute("allow", "Remember the word heron.")).json()
    second = (await box.execute("allow", "Which word was it?")).json()
    assert (first["content"], second["content"]) == ("I shall remember the heron.", "It was a heron.")
    carried = "\n".join(model_server.requests[1].texts)
    assert "Remember the word heron." in carried
    assert "I shall remember the heron." in carried
    assert (await box.get(f"/executions/{second['executionId']}"))["cliVersion"] == QWEN.version
    assert await box.get("/api/metrics/events?type=SESSION_REPLACED") == []
    assert model_server.strangers == []


async def test_a_person_is_asked_and_the_answer_is_followed(
    box: TestBroker, model_server: ModelServer
) -> None:
    """What it wants to run is shown; allowed, it runs."""
    model_server.script(shell("echo hello > made.txt"), Answer(text="Made."))
    execution = await begun(box, "ask", "Make a file.")

    async def asked() -> Any:
        return (await box.get(f"/executions/{execution}"))["waiting"]

    waiting = await until(asked)
    assert waiting["title"].startswith("echo hello > made.txt")
    once = next(option["id"] for option in waiting["options"] if option["kind"] == "allow_once")
    await box.post(f"/executions/{execution}/permission", optionId=once, requestId=waiting["id"])

    async def ended() -> Any:
        found = await box.get(f"/executions/{execution}")
        return found if found["endedAt"] else None

    assert (await until(ended))["content"] == "Made."
    assert (box.home / "work" / "made.txt").read_text() == "hello\n"


async def test_cancelled_in_mid_tool_it_leaves_nothing(box: TestBroker, model_server: ModelServer) -> None:
    """It ends the turn as the protocol wants it, and its whole tree is gone."""
    model_server.script(shell('python3 -c "import time; time.sleep(86404)"'))
    execution = await begun(box, "allow", "Sleep.")
    started = await until(lambda: running(box, execution))
    keeper = psutil.Process(started.keeper_pid)

    async def sleeps() -> list[psutil.Process]:
        return [each for each in keeper.children(recursive=True) if "time.sleep(86404)" in words_of(each)]

    await until(sleeps)
    tree = keeper.children(recursive=True)
    end = await box.post(f"/executions/{execution}/cancel")
    assert (end["state"], end["kind"]) == ("cancelled", "cancelled")
    assert [process for process in tree if process.is_running()] == []


async def running(box: TestBroker, execution: str) -> Any:
    """Its processes, once there are any."""
    return box.broker.services.warden.running.get(execution)


def words_of(process: psutil.Process) -> str:
    """Its command line; nothing for one that has just gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
