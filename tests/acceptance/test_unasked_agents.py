"""Agents whose CLI is told to ask nobody: anybody may run them, but not anybody may register them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from kokino.testing.broker import TestBroker
from kokino.tokens import Scope, Tokens

TOML = """
[cli_types.unbound]
driver = "claude-code"
flags = ["--dangerously-skip-permissions"]
[cli_types.wrapped]
driver = "codex"
command = ["codex", "--yolo"]
[cli_types.mute]
driver = "scripted"
[cli_types.mild]
driver = "scripted"
[cli_types.spoken]
driver = "acp"
command = ["qwen", "--acp"]
[cli_types.loose]
driver = "codex"
flags = ["--yolo"]
[cli_types.configured]
driver = "opencode"
env = { OPENCODE_CONFIG_CONTENT = '{"permission": "allow"}' }
[[agents]]
id = "trusted"
cli_type = "gemini"
cwd = "."
flags = ["--yolo"]
[[agents]]
id = "asking"
cli_type = "qwen"
cwd = "."
[[agents]]
id = "sent-by-the-file"
cli_type = "mild"
cwd = "."
fallback = "unbound"
[[agents]]
id = "loose-already"
cli_type = "loose"
cwd = "."
"""


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestBroker]:
    """One broker for all of these; each registers an agent of its own."""
    async with TestBroker(tmp_path_factory.mktemp("unasked") / "home", TOML) as started:
        yield started


async def posted(broker: TestBroker, path: str, *scopes: Scope, **body: Any) -> httpx.Response:
    """The answer to a request, with a token where `scopes` has any."""
    headers = {}
    if scopes:
        tokens = Tokens.open(broker.home / "broker" / "token.key")
        token = tokens.mint("somebody", scopes, ends_at=broker.clock.now() + timedelta(hours=1))
        headers["Authorization"] = f"Bearer {token}"
    return await broker.http.post(path, json=body, headers=headers)


async def registered(broker: TestBroker, agent_id: str, *scopes: Scope, **body: Any) -> httpx.Response:
    """The answer to a registration."""
    whole = {"agentId": agent_id, "cliType": "claude-code", "cwd": str(broker.home), **body}
    return await posted(broker, "/agents/register", *scopes, **whole)


async def disabled(broker: TestBroker, cli_type: str, target: str, *scopes: Scope) -> httpx.Response:
    """The answer to a wish to move a CLI type's agents."""
    body = {"cliType": cli_type, "target": target, "reason": "a test"}
    return await posted(broker, "/api/fallback/cli/disable", *scopes, **body)


async def exists(broker: TestBroker, agent_id: str) -> bool:
    """True where there is such an agent."""
    return (await broker.http.get(f"/agents/{agent_id}")).status_code == 200


@pytest.mark.parametrize(
    ("cli_type", "body"),
    [
        ("claude-code", {"flags": ["--dangerously-skip-permissions"]}),
        ("claude-code", {"flags": ["--permission-mode", "bypassPermissions"]}),
        ("codex", {"flags": ["--sandbox", "danger-full-access"]}),
        ("factory-droid", {"flags": ["--skip-permissions-unsafe"]}),
        ("gemini", {"flags": ["-y"]}),
        ("opencode", {"flags": ["--auto"]}),
        ("opencode", {"env": {"OPENCODE_PERMISSION": '{"*": "allow"}'}}),
        ("qwen", {"flags": ["--approval-mode", "yolo"]}),
        ("spoken", {"flags": ["-y"]}),
        ("spoken", {"flags": ["-c", "sandbox_mode=danger-full-access"]}),
        ("configured", {}),
        ("unbound", {}),
        ("wrapped", {}),
        ("scripted", {"permissions": "allow"}),
    ],
)
async def test_without_a_token_none_is_registered(
    broker: TestBroker, cli_type: str, body: dict[str, Any]
) -> None:
    """Whoever says it, the agent or its CLI type: 401 with both ways to do it, and no agent."""
    answer = await registered(broker, "nobody", cliType=cli_type, **body)

    problem = answer.json()
    assert (answer.status_code, problem["error"]) == (401, "unauthenticated")
    assert f"an agent that lets {cli_type} do anything unasked" in problem["detail"]
    assert "`kokino token NAME --scope admin` makes one" in problem["detail"]
    assert "kokino.toml" in problem["detail"]
    assert not await exists(broker, "nobody")


async def test_a_weaker_token_is_not_enough(broker: TestBroker) -> None:
    """Every scope but admin together is 403, and says whose token lacks what."""
    scopes = set(Scope) - {Scope.ADMIN}
    answer = await registered(broker, "weak", *scopes, flags=["--dangerously-skip-permissions"])

    problem = answer.json()
    assert (answer.status_code, problem["error"]) == (403, "denied")
    assert "needs the scope 'admin'; the token of 'somebody' lacks it" in problem["detail"]
    assert not await exists(broker, "weak")


async def test_an_admin_registers_it(broker: TestBroker) -> None:
    """The flags are kept as they were sent."""
    flags = ["--dangerously-skip-permissions"]
    answer = await registered(broker, "strong", Scope.ADMIN, flags=flags)
    assert (answer.status_code, answer.json()["flags"]) == (201, flags)


async def test_an_agent_does_not_come_by_them_later(broker: TestBroker) -> None:
    """Registering it again with such flags needs the token as the first time; the agent stays as it was."""
    assert (await registered(broker, "careful", flags=["--permission-mode", "plan"])).status_code == 201

    answer = await registered(broker, "careful", flags=["--dangerously-skip-permissions"])

    assert answer.status_code == 401
    assert (await broker.get("/agents/careful"))["flags"] == ["--permission-mode", "plan"]


async def test_the_file_needs_no_token(broker: TestBroker) -> None:
    """Whoever can write kokino.toml can start any program anyway."""
    assert (await broker.get("/agents/trusted"))["flags"] == ["--yolo"]


async def test_other_flags_need_no_token(broker: TestBroker) -> None:
    """A CLI's other permission modes still refuse something."""
    answer = await registered(broker, "usual", flags=["--permission-mode", "acceptEdits"])
    assert answer.status_code == 201


async def test_a_fallback_is_no_way_around(broker: TestBroker) -> None:
    """An agent that asks, and would ask nobody on its fallback, is registered by an admin alone."""
    answer = await registered(broker, "around", cliType="gemini", fallback="unbound")
    assert answer.status_code == 401
    assert "an agent that lets unbound do anything unasked" in answer.json()["detail"]
    assert not await exists(broker, "around")

    answer = await registered(broker, "around", Scope.ADMIN, cliType="gemini", fallback="unbound")
    assert answer.status_code == 201


async def test_nor_is_disabling_its_cli_type(broker: TestBroker) -> None:
    """Agents that ask are moved to a CLI that asks nobody by an admin alone; else nothing is disabled."""
    for scopes, status in (((), 401), ((Scope.OPERATE,), 403)):
        answer = await disabled(broker, "qwen", "unbound", *scopes)
        assert answer.status_code == status
        assert "moving agent 'asking', which asks, to unbound" in answer.json()["detail"]
    assert (await broker.get("/api/fallback/status"))["disabledCLIs"] == []

    assert (await disabled(broker, "qwen", "unbound", Scope.ADMIN)).status_code == 200
    await broker.post("/api/fallback/cli/enable", cliType="qwen")


async def test_nor_is_coming_after_an_admin_did(broker: TestBroker) -> None:
    """What runs unasked at this moment is what counts, for a new agent as for one that is registered anew."""
    assert (await disabled(broker, "mute", "unbound")).status_code == 200

    answer = await registered(broker, "late", cliType="mute")

    assert answer.status_code == 401
    assert "an agent that lets unbound do anything unasked" in answer.json()["detail"]
    assert (await registered(broker, "waits", cliType="mute", fallback="park")).status_code == 201
    await broker.post("/api/fallback/cli/enable", cliType="mute")


async def test_nor_is_another_folder_for_one_that_an_admin_has_moved(broker: TestBroker) -> None:
    """What it may do there unasked was said of the agent as it was."""
    assert (await registered(broker, "moved")).status_code == 201
    body = {"agentId": "moved", "target": "unbound", "reason": "a test"}
    assert (await posted(broker, "/api/fallback/agent/force", Scope.ADMIN, **body)).status_code == 200

    assert (await registered(broker, "moved", cwd="/")).status_code == 401
    assert (await broker.get("/agents/moved"))["cwd"] == str(broker.home)


@pytest.mark.parametrize("cli_type", ["mild", "loose"])
async def test_a_playbook_moves_whom_the_file_lets_loose(broker: TestBroker, cli_type: str) -> None:
    """Where the file names the fallback, or agents ask nobody anyway, a step's token is enough."""
    answer = await disabled(broker, cli_type, "unbound", Scope.READ, Scope.RUN, Scope.OPERATE)
    assert answer.status_code == 200
    await broker.post("/api/fallback/cli/enable", cliType=cli_type)
