"""An agent that has spent what it may today, by HTTP and in virtual time."""

from __future__ import annotations

from pathlib import Path

from kokino.testing.broker import TestBroker


async def test_an_agent_that_has_spent_its_money_is_refused_until_midnight(tmp_path: Path) -> None:
    """Callers are told when to come again; the others go on, and a higher limit helps at once."""
    async with TestBroker(tmp_path / "home") as broker:
        thrifty = {"agentId": "thrifty", "cliType": "codex", "cwd": str(tmp_path)}
        await broker.post("/agents/register", **thrifty, limits={"spendUsd": 0.0000001})
        first = await broker.execute("thrifty")
        assert first.status_code == 200

        refused = await broker.execute("thrifty")
        assert (refused.status_code, refused.json()["error"]) == (503, "refused")
        assert refused.headers["Retry-After"] == str(15 * 3_600)
        assert "limits.spend_usd" in refused.json()["detail"]
        assert (await broker.execute("reviewer")).status_code == 200

        await broker.post("/agents/register", **thrifty, limits={"spendUsd": 1})
        assert (await broker.execute("thrifty")).status_code == 200
        await broker.post("/agents/register", **thrifty, limits={"spendUsd": 0.0000001})
        assert (await broker.execute("thrifty")).status_code == 503

        await broker.fast_forward(hours=15)
        assert (await broker.execute("thrifty")).status_code == 200
