"""The real CLIs that are read from their screens in tmux, where somebody has named tmux for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kokino.testing.broker import TestBroker
from tests.acceptance.serving import processes_of
from tests.model_server import Answer, Hang, ModelServer

#: Far longer than a real CLI takes for anything, in seconds.
PATIENCE = 60
#: A line that the window has no room for, in an answer with what a screen draws otherwise: a list.
FISHING = "They fish" + "".join(f" in lake {number}," for number in range(1, 20)) + " and in the sea."
SAID = f"Two herons:\n\n- a grey one\n- a white one\n\n{FISHING}"
#: As it is read: with the window's ends of lines, and the bullets of the CLI.
LISTS = {
    "codex": "\u2022 a grey one\n\u2022 a white one",
    "gemini": " - a grey one\n - a white one",
    "qwen": " - a grey one\n - a white one",
}

#: A start of the others costs seconds; what a key leaves on their screens is recorded.
CHEAPEST = "codex"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One agent of a real CLI."""

    broker: TestBroker
    cli: str

    def ask(self, prompt: str) -> asyncio.Task[Any]:
        """Have a prompt executed."""
        return asyncio.create_task(self.broker.execute("reader", prompt))


@pytest.fixture(params=sorted(LISTS))
async def agent(
    request: pytest.FixtureRequest, tmp_path: Path, model_server: ModelServer
) -> AsyncIterator[Agent]:
    """An agent of each CLI, in the mode ``tmux``."""
    cli = request.param
    binary, env = request.getfixturevalue(f"real_{cli}"), request.getfixturevalue(f"{cli}_env")
    cwd = tmp_path / "work"
    cwd.mkdir()
    async with TestBroker(tmp_path / "home", f'[cli_types.{cli}]\ncommand = ["{binary}"]\n') as broker:
        body = {"agentId": "reader", "cliType": cli, "cwd": str(cwd), "env": env, "mode": "tmux"}
        await broker.post("/agents/register", **body)
        yield Agent(broker=broker, cli=cli)


async def test_a_cli_is_worked_by_its_screen(agent: Agent, model_server: ModelServer) -> None:
    """It answers; the next turn knows of that, is stopped by a key or cancelled, and leaves nothing."""
    model_server.default = Answer(text=SAID)
    first = (await agent.ask("Which herons are there, and what do they do?")).json()
    assert first["success"], first
    content = first["content"]
    assert content.startswith(f"Two herons:\n\n{LISTS[agent.cli]}\n\nThey fish in lake 1, ")
    assert " ".join(content.split()).endswith(FISHING)

    model_server.default = Hang()
    if agent.cli == CHEAPEST:
        await is_stopped_by_a_key(agent, model_server)
    hanging = agent.ask("Where do they sleep?")
    await asked(model_server, "Where do they sleep?", "Two herons:")
    await agent.broker.post("/agents/reader/execute/cancel")
    execution = (await hanging).json()["execution"]
    assert (execution["state"], execution["exitCode"]) == ("cancelled", 0)
    assert processes_of({execution["executionId"]}) == []


async def is_stopped_by_a_key(agent: Agent, model_server: ModelServer) -> None:
    """Whoever has attached stops a turn, and that is no answer."""
    stopping = agent.ask("What do they eat?")
    await asked(model_server, "What do they eat?", "Two herons:")
    terminal = agent.broker.broker.services.executions.runner.workshop.terminals.shown("reader")
    assert terminal is not None
    await terminal.keys("Escape")
    execution = (await stopping).json()["execution"]
    assert (execution["state"], execution["kind"]) == ("cancelled", "cancelled")
    assert "stopped at its terminal by a key; its CLI says: Conversation interrupted" in execution["error"]


async def asked(model_server: ModelServer, *texts: str) -> None:
    """Return when the model has been sent all these in one request."""
    async with asyncio.timeout(PATIENCE):
        while not any(carries(request.texts, texts) for request in model_server.requests):
            await asyncio.sleep(0.05)


def carries(sent: tuple[str, ...], texts: tuple[str, ...]) -> bool:
    """Each of these stands in what was sent."""
    return all(text in "\n".join(sent) for text in texts)
