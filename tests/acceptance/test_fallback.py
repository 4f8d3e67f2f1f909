"""Disabling a CLI type never leaves agents without a way that nobody meant to take from them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kokino.testing.broker import TestBroker


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """Agents on claude-code and on codex."""
    async with TestBroker(tmp_path / "home") as running:
        yield running


async def disable(broker: TestBroker, cli_type: str, target: str | None = None) -> tuple[int, str]:
    """The answer's status, and what it says where it is a problem."""
    body = {"cliType": cli_type, "reason": "a test", "target": target}
    answer = await broker.http.post("/api/fallback/cli/disable", json=body)
    return answer.status_code, answer.json().get("detail", "")


async def test_without_tmux_the_last_cli_type_in_use_is_not_disabled(tmp_path: Path) -> None:
    """Refusing all work is no repair; a pause says what it does."""
    async with TestBroker(tmp_path / "home", environment={"PATH": "/nowhere"}) as broker:
        assert await disable(broker, "claude-code") == (200, "")
        status, said = await disable(broker, "codex")
        assert status == 409
        assert "the only CLI type in use that is enabled" in said
        assert "/api/pause" in said
        assert (await broker.execute("reviewer")).status_code == 200
        refused = await broker.execute("writer")
        assert refused.status_code == 503
        assert "has no fallback: tmux is not on the broker's PATH" in refused.json()["detail"]


async def test_a_stand_in_stays_as_long_as_somebody_leans_on_it(broker: TestBroker) -> None:
    """Else the agents that were moved would lose their way a second time."""
    assert await disable(broker, "claude-code", "codex") == (200, "")
    assert await disable(broker, "codex", "scripted") == (
        409,
        "'codex' stands in for claude-code: enable that first",
    )
    moved = await broker.execute("writer")
    assert moved.json()["metadata"]["cliType"] == "codex"


async def test_a_disabled_cli_type_stands_in_for_nobody(broker: TestBroker) -> None:
    """Two outages cannot send agents around in a circle."""
    assert await disable(broker, "codex", "scripted") == (200, "")
    status, said = await disable(broker, "claude-code", "codex")
    assert status == 409
    assert "choose another target" in said


async def test_the_short_name_of_a_cli_type_is_taken_in_every_request(broker: TestBroker) -> None:
    """What was asked for as droid is told as factory-droid."""
    body = {"agentId": "short", "cliType": "droid", "fallback": "codex", "cwd": str(broker.home)}
    registered = await broker.post("/agents/register", **body)
    assert (registered["cliType"], registered["fallback"]) == ("factory-droid", "codex")
    assert await disable(broker, "codex", "droid") == (200, "")
    moved = (await broker.get("/api/fallback/status"))["disabledCLIs"]
    assert [(one["cli"], one["target"]) for one in moved] == [("codex", "factory-droid")]
    assert (await broker.get("/api/health/environment?cli=droid"))["cliType"] == "factory-droid"
    assert await broker.get("/api/metrics/events?cli=droid") == []


async def test_a_disabled_target_says_whom_it_leaves_without_a_way(broker: TestBroker) -> None:
    """It is done, for a repair must not be held up by one agent; but nobody is refused in silence."""
    await broker.post("/api/fallback/agent/force", agentId="writer", reason="it hangs", target="codex")
    why = "agent 'writer' is sent elsewhere (it hangs), and its fallback 'codex' is disabled, too"
    done = await broker.post("/api/fallback/cli/disable", cliType="codex", reason="it is down")
    assert done["stranded"] == [{"agentId": "writer", "reason": why}]
    assert [one["refused"] for one in done["forcedFallbacks"]] == [why]
    refused = await broker.execute("writer")
    assert (refused.status_code, refused.json()["detail"]) == (503, why)
    (event,) = await broker.get("/api/metrics/events?type=FALLBACK_ENABLED&cli=codex")
    assert event["message"] == "local: it is down; agents without a way: 1"
    assert event["data"] == {"target": None, "stranded": 1}

    found = await broker.post("/api/fallback/agent/force", agentId="writer", reason="so", target="park")
    assert (found["stranded"], found["forcedFallbacks"][0]["refused"]) == ([], None)


async def test_an_agent_that_leans_on_a_disabled_fallback_of_its_own_is_told_of(broker: TestBroker) -> None:
    """Its own way was disabled first; the second disable takes the way round it."""
    body = {"agentId": "leans", "cliType": "claude-code", "fallback": "codex", "cwd": str(broker.home)}
    await broker.post("/agents/register", **body)
    first = await broker.post("/api/fallback/cli/disable", cliType="claude-code", reason="a test")
    assert first["stranded"] == []
    second = await broker.post("/api/fallback/cli/disable", cliType="codex", reason="a test")
    assert [one["agentId"] for one in second["stranded"]] == ["leans"]
    assert (await broker.get("/api/fallback/status"))["stranded"] == second["stranded"]
