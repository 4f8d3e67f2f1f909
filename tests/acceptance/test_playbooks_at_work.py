"""Playbooks beside the availability one: what is broken is recognised, repaired and verified."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from kokino.alerts.rulefile import packaged
from kokino.testing.broker import PATIENCE, TestBroker

#: A rule that takes the place of one that would tell of the same trouble first.
QUIET = """
apiVersion: kokino/v1
kind: AlertRule
id: {id}
title: Not of this story
severity: P3
owner: "@backend-team"
conditions: [{{id: never, kind: count, of: [SHADOW_MISMATCH], at_least: 10000, window: 1m}}]
resolve: {{kind: quiet}}
"""
AGENT = """
[[agents]]
id = "{id}"
cli_type = "scripted"
cwd = "."
env = {{ KOKINO_SCRIPT = "{script}" }}
limits = {{ timeout = "{timeout}", idle = "1h", grace = "100ms" }}
"""


@asynccontextmanager
async def fleet(
    home: Path, *, only: str, timeouts: tuple[str, ...] = ("1h",) * 3
) -> AsyncIterator[TestBroker]:
    """Agents a, b, c; of all rules `only` one ever opens an incident."""
    (home / "alerts").mkdir(parents=True)
    for rule in packaged():
        if rule.severity in {"P1", "P2"} and rule.id != only:
            (home / "alerts" / f"{rule.id}.yaml").write_text(QUIET.format(id=rule.id), "utf-8")
    agents = [
        AGENT.format(id=name, script=home / f"{name}.script", timeout=timeout)
        for name, timeout in zip("abc", timeouts, strict=True)
    ]
    async with TestBroker(home, "".join(agents)) as broker:
        yield broker


def script(broker: TestBroker, agent: str, text: str) -> None:
    """What every execution of the agent does from now on."""
    (broker.home / f"{agent}.script").write_text(text, "utf-8")


async def incident(broker: TestBroker) -> Any:
    """The only one, whole."""
    [listed] = (await broker.get("/api/incidents"))["items"]
    return await broker.get(f"/api/incidents/{listed['id']}")


async def patterns(broker: TestBroker) -> list[str | None]:
    """What the playbooks recognised."""
    return [run["pattern"] for run in (await broker.get("/api/playbook-runs"))["items"]]


async def said(broker: TestBroker, kind: str) -> list[str]:
    """The texts of the incident's entries of one kind."""
    return [entry["text"] for entry in (await incident(broker))["timeline"] if entry["kind"] == kind]


async def rounds(broker: TestBroker, number: int, *agents: str, seconds: float = 20) -> None:
    """Each of the agents runs a prompt every so many seconds."""
    for _ in range(number):
        for agent in agents:
            await broker.execute(agent)
        await broker.fast_forward(seconds=seconds)


async def stopped(broker: TestBroker, script_of_a: str) -> None:
    """An agent fails five times in a row, as its script says."""
    script(broker, "a", script_of_a)
    for _ in range(5):
        assert (await broker.execute("a")).status_code == 502
    await broker.fast_forward(seconds=1)


async def test_a_stopped_agent_gets_a_fresh_session_and_a_try_where_its_peers_are_well(
    tmp_path: Path,
) -> None:
    """Nothing else is wrong, so it is its own: reset, tried, verified by a success of its own."""
    async with fleet(tmp_path / "home", only="circuit-breaker-opened") as broker:
        await rounds(broker, 3, "a", "b", "c")
        await stopped(broker, "crash")
        assert await patterns(broker) == ["agent-alone"]
        circuits = (await broker.get("/agents/circuits/status"))["circuits"]
        assert {one["state"] for one in circuits} == {"closed"}
        sessions = {one["agentId"]: one for one in await broker.get("/agents/sessions/status")}
        assert [sessions[name]["hasSession"] for name in "abc"] == [False, True, True]

        script(broker, "a", "")
        assert (await incident(broker))["state"] == "open"
        await rounds(broker, 18, "a")
        assert (await incident(broker))["state"] == "resolved"
        assert len(await said(broker, "verified")) == 1


async def test_an_agent_whose_login_is_over_is_left_alone_until_somebody_logs_in(tmp_path: Path) -> None:
    """A fresh session would not help; its own try closes the circuit breaker once it may."""
    async with fleet(tmp_path / "home", only="circuit-breaker-opened") as broker:
        await rounds(broker, 3, "b", "c")
        await stopped(broker, "fail auth")
        assert await patterns(broker) == ["login"]
        [note] = [entry for entry in await said(broker, "note") if "log scripted in again" in entry]
        assert "Agent a fails with auth" in note

        await rounds(broker, 2, "a", seconds=60)
        assert (await incident(broker))["state"] == "open"
        script(broker, "a", "")
        await rounds(broker, 7, "a", seconds=60)
        assert (await incident(broker))["state"] == "resolved"


async def test_an_agent_is_not_blamed_for_its_cli_type(tmp_path: Path) -> None:
    """Others fail on it too: that is the availability playbook's to repair."""
    async with fleet(tmp_path / "home", only="circuit-breaker-opened") as broker:
        for name in "bc":
            script(broker, name, "crash")
            for _ in range(4):
                await broker.execute(name)
        await stopped(broker, "crash")
        assert await patterns(broker) == ["cli-type"]
        circuits = (await broker.get("/agents/circuits/status"))["circuits"]
        assert "open" in {one["state"] for one in circuits if one["agentId"] == "a"}


async def begun(broker: TestBroker, agent: str) -> str:
    """The id of an execution that runs now."""
    answer = await broker.http.post(
        f"/agents/{agent}/execute", json={"prompt": "Hello."}, headers={"Prefer": "respond-async"}
    )
    execution = str(answer.json()["executionId"])
    await until(broker, execution, "running")
    return execution


async def until(broker: TestBroker, execution: str, *states: str) -> None:
    """Return once it is in one of these states."""
    async with asyncio.timeout(PATIENCE):
        while (await broker.get(f"/executions/{execution}"))["state"] not in states:
            await asyncio.sleep(0.01)


async def test_the_one_execution_that_hangs_is_cancelled(tmp_path: Path) -> None:
    """Two were slow and ended; the third holds its agent in silence. Quick ones prove that it is over."""
    home = tmp_path / "home"
    async with fleet(home, only="latency-slo-breach", timeouts=("65s", "65s", "1h")) as broker:
        for name in "abc":
            script(broker, name, "hang")
        first, second, third = [await begun(broker, name) for name in "abc"]
        broker.clock.move_to(broker.clock.now() + timedelta(seconds=66))
        for ended in (first, second):
            await until(broker, ended, "timeout")
        # It looks again each minute until a row fits.
        async with asyncio.timeout(PATIENCE):
            while (await broker.get(f"/executions/{third}"))["state"] == "running":
                broker.clock.move_to(broker.clock.now() + timedelta(seconds=5))
                await asyncio.sleep(0.05)
        await broker.settle()
        assert (await broker.get(f"/executions/{third}"))["state"] == "cancelled"
        assert await patterns(broker) == ["hangs"]

        for name in "abc":
            script(broker, name, "")
        await rounds(broker, 18, "a", "b", "c")
        assert (await incident(broker))["state"] == "resolved"
        assert len(await said(broker, "verified")) == 1
