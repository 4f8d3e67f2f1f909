"""The way round what is disabled leads through tmux: with the session's context, and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kokino.testing.broker import TestBroker

FLEET = """
[fallback]
probe_every = "30s"
probes_wanted = 2
[cli_types.claude-code]
driver = "scripted"
env = {{ KOKINO_SCRIPTED_HOME = "{memory}" }}
[cli_types.codex]
driver = "scripted"
[[agents]]
id = "writer"
cli_type = "claude-code"
cwd = "."
[[agents]]
id = "gated"
cli_type = "claude-code"
cwd = "."
breaker_fallback = true
env = {{ KOKINO_SCRIPT = "{gate}" }}
"""


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """Two headless agents; what the gated one does stands in a file."""
    toml = FLEET.format(memory=tmp_path / "memory", gate=tmp_path / "gate")
    async with TestBroker(tmp_path / "home", toml) as running:
        yield running


async def modes(broker: TestBroker, agent: str) -> list[tuple[str, str]]:
    """How the agent's executions ran and ended, the latest first."""
    return [(one["mode"], one["state"]) for one in (await broker.get(f"/executions?agent={agent}"))["items"]]


async def told(broker: TestBroker) -> list[tuple[str, str | None, str]]:
    """The fallback's events so far, oldest first."""
    events = await broker.get("/api/metrics/events?limit=500")
    return [
        (event["type"], event["agentId"], event["message"])
        for event in reversed(events)
        if event["type"].startswith("FALLBACK_")
    ]


async def forced(broker: TestBroker) -> list[Any]:
    """Who is sent elsewhere."""
    status = await broker.get("/api/fallback/status")
    return list(status["forcedFallbacks"])


async def test_a_disabled_cli_type_is_worked_in_tmux_until_it_is_enabled(broker: TestBroker) -> None:
    """Under load: what runs ends where it began, what waits goes on in tmux with the session's context."""
    await broker.execute("writer", "Remember the heron.")
    running = asyncio.create_task(broker.execute("writer", "Be slow.\nscript: think 1s"))
    while len(await modes(broker, "writer")) < 2:  # of two requests at once either may be the first
        await asyncio.sleep(0.01)
    waiting = asyncio.create_task(broker.execute("writer", "What was before?"))
    while len(await modes(broker, "writer")) < 3:
        await asyncio.sleep(0.01)
    await broker.post("/api/fallback/cli/disable", cliType="claude-code", reason="its headless form fails")
    assert [(await one).status_code for one in (running, waiting)] == [200, 200]
    assert (await waiting).json()["content"].endswith('Before that: "Be slow.".')

    await broker.post("/api/fallback/cli/enable", cliType="claude-code")
    back = (await broker.execute("writer", "And now?")).json()
    assert back["content"].endswith('Before that: "What was before?".')
    assert await modes(broker, "writer") == [
        ("headless", "completed"),
        ("tmux", "completed"),
        ("headless", "completed"),
        ("headless", "completed"),
    ]
    assert (await told(broker))[0][2] == "local: its headless form fails"


async def test_one_agent_is_sent_elsewhere_by_name(broker: TestBroker) -> None:
    """To where it is said, with who and why; its CLI type goes on for the others."""
    await broker.post("/api/fallback/agent/force", agentId="writer", reason="it hangs", target="tmux")
    assert (await broker.execute("writer")).status_code == 200
    assert (await broker.execute("gated")).status_code == 200
    (one,) = await forced(broker)
    assert (one["agentId"], one["target"], one["reason"], one["automatic"]) == (
        "writer",
        "tmux",
        "it hangs",
        False,
    )
    await broker.fast_forward(seconds=61)
    assert (await forced(broker))[0]["probes"]["good"] == 2

    refused = await broker.http.post(
        "/api/fallback/agent/force", json={"agentId": "writer", "reason": "x", "target": "claude-code"}
    )
    assert (refused.status_code, "its own CLI type" in refused.json()["detail"]) == (409, True)
    await broker.post("/api/fallback/agent/force", agentId="writer", reason="now so", target="codex")
    assert (await broker.execute("writer")).json()["metadata"]["cliType"] == "codex"
    await broker.post("/api/fallback/agent/clear", agentId="writer", reason="it is well")
    await broker.post("/api/fallback/agent/clear", agentId="writer", reason="again")
    assert (await broker.execute("writer")).json()["metadata"]["cliType"] == "claude-code"
    assert [(type_, agent, said) for type_, agent, said in await told(broker)] == [
        ("FALLBACK_ENABLED", "writer", "local: it hangs"),
        ("FALLBACK_ENABLED", "writer", "local: now so"),
        ("FALLBACK_DISABLED", "writer", "local: it is well"),
    ]
    assert [mode for mode, _ in await modes(broker, "writer")] == ["headless", "headless", "tmux"]


async def test_an_open_circuit_breaker_sends_its_agent_to_tmux_and_back(
    broker: TestBroker, tmp_path: Path
) -> None:
    """Probes of the agent's own way, headless, tell when it works again; nobody has to say so."""
    gate = tmp_path / "gate"
    gate.write_text("crash 3")
    assert [(await broker.execute("gated")).status_code for _ in range(5)] == [502] * 5
    await broker.settle()
    (one,) = await forced(broker)
    assert (one["agentId"], one["target"], one["setBy"], one["automatic"]) == (
        "gated",
        "tmux",
        "circuit breaker",
        True,
    )
    await broker.fast_forward(seconds=31)
    assert (await forced(broker))[0]["probes"]["lastOutcome"] == "crash"

    gate.unlink()
    assert (await broker.execute("gated")).status_code == 200
    assert (await modes(broker, "gated"))[0] == ("tmux", "completed")
    await broker.fast_forward(minutes=3)
    assert await forced(broker) == []
    assert (await broker.execute("gated")).status_code == 200
    assert (await modes(broker, "gated"))[0] == ("headless", "completed")
    circuits = (await broker.get("/agents/circuits/status"))["circuits"]
    assert {(one["agentId"], one["state"]) for one in circuits} >= {("gated", "closed")}
    assert (await told(broker))[-1][2] == "circuit breaker: 2 probes in a row succeeded"


async def test_a_refused_login_is_no_reason_to_go_to_tmux(broker: TestBroker, tmp_path: Path) -> None:
    """There it is the same login: the circuit stays open, and callers hear of it."""
    (tmp_path / "gate").write_text("fail auth")
    assert [(await broker.execute("gated")).status_code for _ in range(5)] == [502] * 5
    await broker.settle()
    assert await forced(broker) == []
    assert (await broker.execute("gated")).status_code == 503
