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
[[agents]]
id = "trusted"
cli_type = "gemini"
cwd = "."
flags = ["--yolo"]
"""


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestBroker]:
    """One broker for all of these; each registers an agent of its own."""
    async with TestBroker(tmp_path_factory.mktemp("unasked") / "home", TOML) as started:
        yield started


async def registered(broker: TestBroker, agent_id: str, *scopes: Scope, **body: Any) -> httpx.Response:
    """The answer to a registration, with a token where `scopes` has any."""
    headers = {}
    if scopes:
        tokens = Tokens.open(broker.home / "broker" / "token.key")
        token = tokens.mint("somebody", scopes, ends_at=broker.clock.now() + timedelta(hours=1))
        headers["Authorization"] = f"Bearer {token}"
    whole = {"agentId": agent_id, "cliType": "claude-code", "cwd": str(broker.home), **body}
    return await broker.http.post("/agents/register", json=whole, headers=headers)


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
        ("qwen", {"flags": ["--approval-mode", "yolo"]}),
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
