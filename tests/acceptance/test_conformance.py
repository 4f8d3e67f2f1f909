"""Every real CLI behind the API, offline: what the broker promises of an agent holds for each of them."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kokino.testing.broker import TestBroker
from tests.acceptance.serving import processes_of
from tests.fixtures import real_clis
from tests.fixtures.real_clis import RealCli
from tests.model_server import Answer, ModelServer, ToolUse
from tests.sleepers import a_length, sleepers

#: Of the tool that is to be cancelled, in seconds.
SLEEPS = a_length()
#: A sleeper of our own: some CLIs refuse to run ``sleep``.
SLEEPER = f"python3 -c 'import time; time.sleep({SLEEPS})'"
#: Far longer than a real CLI takes to start, in seconds.
PATIENCE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One CLI, and what it needs to be run here."""

    cli: RealCli
    #: Makes its HOME; gives its whole environment.
    environment: Callable[[Path, ModelServer], dict[str, str]]
    #: Its tool that runs a command, and what else that wants to be told.
    tool: str
    input: Mapping[str, object] = field(default_factory=dict)
    command_in: str = "command"
    #: What lets that tool run.
    flags: tuple[str, ...] = ()
    model: str | None = None


ROWS = {
    row.cli.name: row
    for row in (
        Row(
            cli=real_clis.CLAUDE,
            environment=real_clis.claude_environment,
            tool="Bash",
            input={"description": "takes long"},
            flags=("--allowedTools", "Bash"),
        ),
        Row(
            cli=real_clis.CODEX,
            environment=real_clis.codex_environment,
            tool="exec_command",
            command_in="cmd",
            flags=("--sandbox", "workspace-write"),
        ),
        Row(
            cli=real_clis.DROID,
            environment=real_clis.droid_environment,
            tool="Execute",
            input={"summary": "takes long", "riskLevelReason": "none", "riskLevel": "low"},
            flags=("--auto", "low"),
            model="custom:m",
        ),
        Row(
            cli=real_clis.GEMINI,
            environment=real_clis.gemini_environment,
            tool="run_shell_command",
            input={"description": "takes long"},
            flags=("--yolo",),
        ),
        Row(
            cli=real_clis.OPENCODE,
            environment=real_clis.opencode_environment,
            tool="bash",
            input={"description": "takes long"},
        ),
        Row(
            cli=real_clis.QWEN,
            environment=real_clis.qwen_environment,
            tool="run_shell_command",
            input={"description": "takes long", "is_background": False},
            flags=("--allowed-tools", "run_shell_command"),
        ),
    )
}
every_cli = pytest.mark.parametrize("name", sorted(ROWS))


def broker_of(row: Row, folder: Path, model_server: ModelServer) -> TestBroker:
    """A broker with one agent, ``agent``, that the file lets run its tools."""
    (folder / "work").mkdir()
    env = row.environment(folder / "cli-home", model_server)
    model = "" if row.model is None else f"model = {json.dumps(row.model)}\n"
    toml = (
        f"[cli_types.{row.cli.name}]\n"
        f"command = [{json.dumps(str(real_clis.installed(row.cli)))}]\n"
        f'[[agents]]\nid = "agent"\ncli_type = "{row.cli.name}"\n'
        f"cwd = {json.dumps(str(folder / 'work'))}\n{model}"
        f"flags = {json.dumps(row.flags)}\n"
        f"env = {{ {', '.join(f'{key} = {json.dumps(value)}' for key, value in env.items())} }}\n"
    )
    return TestBroker(folder / "home", toml)


async def session_of(broker: TestBroker) -> str:
    """The session that the agent's next execution resumes."""
    (status,) = await broker.get("/agents/sessions/status")
    return str(status["sessionId"])


async def its_version_is_known(broker: TestBroker, execution: str) -> None:
    """A CLI that does not tell it in its records is asked afterwards, and writes to its home meanwhile."""
    async with asyncio.timeout(PATIENCE):
        while (await broker.get(f"/executions/{execution}"))["cliVersion"] is None:
            await asyncio.sleep(0.05)


@every_cli
async def test_a_session_is_resumed_and_replaced_when_it_is_gone(
    name: str, tmp_path: Path, model_server: ModelServer
) -> None:
    """The second turn carries the first; once the CLI knows the session no more, a new one goes on."""
    row = ROWS[name]
    async with broker_of(row, tmp_path, model_server) as broker:
        model_server.script(Answer(text="I shall remember the heron."), Answer(text="It was a heron."))
        first = (await broker.execute("agent", "Remember the word heron.")).json()
        second = (await broker.execute("agent", "Which word was it?")).json()
        assert (first["success"], first["content"]) == (True, "I shall remember the heron."), first
        assert (second["success"], second["content"]) == (True, "It was a heron."), second
        assert first["conversationId"] == second["conversationId"]
        resumed = await session_of(broker)
        carried = "\n".join(model_server.requests[1].texts)
        assert "Remember the word heron." in carried
        assert "I shall remember the heron." in carried

        await its_version_is_known(broker, second["executionId"])
        shutil.rmtree(tmp_path / "cli-home")
        row.environment(tmp_path / "cli-home", model_server)
        third = (await broker.execute("agent", "Say something new.")).json()

        assert third["success"], third
        assert await session_of(broker) != resumed
        ended = await broker.get(f"/executions/{third['executionId']}")
        assert (ended["state"], ended["attempts"]) == ("completed", 2)


@every_cli
async def test_cancelling_in_mid_tool_leaves_no_process(
    name: str, tmp_path: Path, model_server: ModelServer
) -> None:
    """A tool with a session of its own ends with its execution, which counts as cancelled."""
    row = ROWS[name]
    model_server.script(ToolUse(tool=row.tool, input={row.command_in: SLEEPER, **row.input}))
    async with broker_of(row, tmp_path, model_server) as broker:
        accepted = await broker.http.post(
            "/agents/agent/execute", json={"prompt": "Wait."}, headers={"Prefer": "respond-async"}
        )
        execution = accepted.json()["executionId"]
        async with asyncio.timeout(PATIENCE):
            while not sleepers(SLEEPS):
                await asyncio.sleep(0.05)

        cancelled = await broker.post("/agents/agent/execute/cancel")

        assert (cancelled["status"], cancelled["execution"]["executionId"]) == ("cancelled", execution)
        assert sleepers(SLEEPS) == []
        assert processes_of({execution}) == []
        (status,) = await broker.get("/agents/sessions/status")
        assert not status["locked"]


def test_every_pinned_cli_has_its_row() -> None:
    """None is installed for the tests and left out here."""
    pinned = {cli.name for cli in vars(real_clis).values() if isinstance(cli, RealCli)}
    assert set(ROWS) == pinned
