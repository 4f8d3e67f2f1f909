"""The real Claude Code in tmux: the session that it has headless, its questions, what it may and what not."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kokino.testing.broker import TestBroker
from tests.acceptance.serving import processes_of
from tests.model_server import Answer, Hang, ModelServer, ToolUse
from tests.sleepers import a_length, sleepers

#: Far longer than a real CLI takes for anything, in seconds.
PATIENCE = 60


@pytest.fixture
async def broker(tmp_path: Path, real_claude: Path) -> AsyncIterator[TestBroker]:
    """A broker whose claude-code is the real one."""
    toml = f'[cli_types.claude-code]\ncommand = ["{real_claude}"]\n'
    async with TestBroker(tmp_path / "home", toml) as started:
        yield started


@pytest.fixture
def claude(broker: TestBroker, tmp_path: Path, claude_env: dict[str, str]) -> Registration:
    """Registers the agent, in one mode or the other."""
    cwd = tmp_path / f"w\u00f6rk-{'x' * 200}"  # so long a path has its sessions in a folder of another name
    cwd.mkdir()
    # What it is asked once in a person's life; all other questions are the broker's to answer.
    (Path(claude_env["HOME"]) / ".claude.json").write_text(json.dumps({"hasCompletedOnboarding": True}))
    return Registration(broker, cwd, claude_env)


class Registration:
    """One agent that changes its mode."""

    def __init__(self, broker: TestBroker, cwd: Path, env: dict[str, str]) -> None:
        self._broker = broker
        self.cwd = cwd
        self._env = env

    async def __call__(self, mode: str, **more: Any) -> None:
        body = {"cliType": "claude-code", "cwd": str(self.cwd), "env": self._env, "mode": mode, **more}
        await self._broker.post("/agents/register", agentId="claude", **body)


async def test_two_turns_in_tmux_and_one_headless_are_one_session(
    broker: TestBroker, claude: Registration, model_server: ModelServer
) -> None:
    """Each turn knows what was said before it, whichever way it runs."""
    await claude("tmux")
    (claude.cwd / "heron-lake.md").touch()
    first = (await broker.execute("claude", "Remember the word @heron")).json()
    second = (await broker.execute("claude", "!touch shell-mode \\")).json()
    await claude("headless")
    third = (await broker.execute("claude", "Which word was it?")).json()

    assert [one["success"] for one in (first, second, third)] == [True, True, True]
    assert len({one["metadata"]["sessionId"] for one in (first, second, third)}) == 1
    carried = "\n".join(model_server.requests[-1].texts)
    assert first["content"] in carried
    # No name is completed, no line goes on, and what would be its shell's is a prompt like any other.
    assert re.search(r"^Remember the word @heron\s*$", carried, re.MULTILINE)
    assert "!touch shell-mode \\" in carried
    assert not (claude.cwd / "shell-mode").exists()
    modes = [one["mode"] for one in (await broker.get("/executions?agent=claude"))["items"]]
    assert modes == ["headless", "tmux", "tmux"]

    # What it may not do unasked it asks; whoever answers lets it go on.
    await claude("tmux")
    model_server.script(ToolUse(tool="Bash", input={"command": "touch made"}), Answer(text="Made."))
    asking = asyncio.create_task(broker.execute("claude", "Make it."))
    asked = await until(lambda: waits_for(broker))
    assert "touch made" in asked["waiting"]["title"]
    await broker.post(f"/executions/{asked['executionId']}/permission", optionId="1")
    assert (await asking).json()["content"] == "Made."
    assert (claude.cwd / "made").exists()

    # Who has attached may stop it, also in the middle of a tool: that refuses no permission.
    sleeps = a_length()
    model_server.script(
        ToolUse(tool="Bash", input={"command": f"python3 -c 'import time; time.sleep({sleeps})'"})
    )
    stopping = asyncio.create_task(broker.execute("claude", "Wait."))
    asked = await until(lambda: waits_for(broker))
    await broker.post(f"/executions/{asked['executionId']}/permission", optionId="1")
    await until(lambda: runs(sleeps))
    terminal = broker.broker.services.executions.runner.workshop.terminals.shown("claude")
    assert terminal is not None
    await terminal.keys("Escape")
    execution = (await stopping).json()["execution"]
    assert (execution["state"], execution["kind"]) == ("cancelled", "cancelled")
    assert "stopped at its terminal by a key; its CLI says: [Request interrupted" in execution["error"]

    # It is stopped by its own keys, and nothing of it is left.
    model_server.script(Hang())
    hanging = asyncio.create_task(broker.execute("claude", "Never answer."))
    await until(lambda: has_asked(model_server, "Never answer."))
    await broker.post("/agents/claude/execute/cancel")
    execution = (await hanging).json()["execution"]
    assert (execution["state"], execution["exitCode"]) == ("cancelled", 0)
    assert processes_of({execution["executionId"]}) == []


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    """What `condition` gives, once it gives something."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await condition()):
            await asyncio.sleep(0.05)
    return found


async def runs(length: str) -> bool:
    """A process sleeps for so long."""
    return bool(sleepers(length))


async def waits_for(broker: TestBroker) -> Any:
    """The latest execution, while it waits for somebody."""
    (latest,) = (await broker.get("/executions?limit=1"))["items"]
    return latest if latest["waiting"] else None


async def has_asked(model_server: ModelServer, prompt: str) -> bool:
    """The model has been asked that."""
    return any(prompt in text for request in model_server.requests for text in request.texts)
