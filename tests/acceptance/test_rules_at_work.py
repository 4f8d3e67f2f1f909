"""Alert rules in a whole broker: what happens in it makes them fire and resolve, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kokino.alerts.schedule import SOONEST_RESOLVE
from kokino.testing.broker import PATIENCE, TestBroker

AGENTS = ("a", "b", "c")
TOML = "\n".join(
    f"""
[[agents]]
id = "{name}"
cli_type = "scripted"
cwd = "."
limits = {{ timeout = "1h", grace = "100ms", memory_mb = 900 }}
"""
    for name in AGENTS
)


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """A broker with agents that may work for an hour."""
    async with TestBroker(tmp_path / "home", TOML) as started:
        yield started


async def begun(box: TestBroker, agent: str, script: str) -> str:
    """The id of an execution that runs now."""
    answer = await box.http.post(
        f"/agents/{agent}/execute", json={"prompt": f"script: {script}"}, headers={"Prefer": "respond-async"}
    )
    execution = str(answer.json()["executionId"])
    async with asyncio.timeout(PATIENCE):
        while (await box.get(f"/executions/{execution}"))["state"] != "running":
            await asyncio.sleep(0.01)
    return execution


async def later(box: TestBroker, **length: float) -> None:
    """Let so much time be over at once: while something runs the broker never settles."""
    box.clock.move_to(box.clock.now() + timedelta(**length))


async def comes_to(box: TestBroker, rule: str, wanted: str) -> Any:
    """The only alert of a rule, once it is in a state."""
    async with asyncio.timeout(PATIENCE):
        while [one["state"] for one in await alerts(box, rule)] != [wanted]:
            await asyncio.sleep(0.01)
    [alert] = await alerts(box, rule)
    return alert


async def alerts(box: TestBroker, rule: str) -> list[Any]:
    """The alerts of one rule."""
    return [one for one in await box.get("/api/alerts") if one["ruleId"] == rule]


async def state(box: TestBroker, rule: str) -> str:
    """The state of the only alert of a rule."""
    [alert] = await alerts(box, rule)
    return str(alert["state"])


async def test_three_executions_that_hang_are_slow_before_they_end(box: TestBroker) -> None:
    """Just after a minute, with nothing happening; and it is over once quick ones outnumber them."""
    began = box.clock.now()
    running = [await begun(box, agent, "hang") for agent in AGENTS]
    await later(box, seconds=60)
    await comes_to(box, "latency-slo-breach", "inactive")
    await later(box, milliseconds=1)
    alert = await comes_to(box, "latency-slo-breach", "firing")
    assert (datetime.fromisoformat(alert["firingAt"]) - began).total_seconds() == 60.001
    assert "(3 of 3 executions took longer)" in alert["measured"]["reason"]

    for execution in running:
        await box.post(f"/executions/{execution}/cancel")
    for agent in AGENTS:
        assert (await box.execute(agent)).status_code == 200
    await box.settle()
    assert await state(box, "latency-slo-breach") == "resolved"


async def test_a_lock_that_is_held_too_long_is_told_of_and_over_with_its_execution(box: TestBroker) -> None:
    """Its event wakes the rules at once; only this agent has an alert."""
    execution = await begun(box, "a", "tool sleep 600s")
    # Its last word must have been read: from then on it is silent.
    async with asyncio.timeout(PATIENCE):
        while (await box.get("/agents/sessions/status"))[0]["tool"] is None:
            await asyncio.sleep(0.01)
    await later(box, minutes=5)
    alert = await comes_to(box, "lock-timeout", "firing")
    assert (alert["severity"], alert["title"], alert["labels"]) == ("P3", "Lock timeout", {"agent": "a"})
    await box.post(f"/executions/{execution}/cancel")
    await box.settle()
    assert await state(box, "lock-timeout") == "resolved"


async def test_a_breaker_that_opens_is_told_of_and_over_with_its_agent(box: TestBroker) -> None:
    """Where others succeed often enough the fleet's availability is not the matter, and it is no symptom."""
    for _ in range(5):
        assert (await box.execute("a", "script: fail network")).status_code == 502
    await box.settle()
    [alert] = await alerts(box, "circuit-breaker-opened")
    assert (alert["state"], alert["labels"]) == ("firing", {"agent": "a", "cli_type": "scripted"})
    assert alert["quiet"]["why"] == "inhibited"
    assert (await box.http.delete("/agents/a")).status_code == 204
    await box.settle()
    assert await state(box, "circuit-breaker-opened") == "resolved"


async def test_the_peak_of_every_execution_counts_for_resources(box: TestBroker) -> None:
    """It stands in the event of its end, beside what it should stay under."""
    assert (await box.execute("a", "script: eat 600MB; emit done")).status_code == 200
    [ended] = await box.get("/api/metrics/events?type=EXECUTION_COMPLETED")
    assert ended["memoryMb"] >= 600
    assert ended["memorySloMb"] == 500
    resources = (await box.get("/api/slo/status"))["resources"]
    assert (resources["current"], resources["state"], resources["window"]["total"]) == (0.0, "breached", 1)


async def test_nothing_is_polled(box: TestBroker) -> None:
    """A broker in which nothing happens looks at no rule: nothing is due."""
    rules = box.broker.services.alert_rules
    await box.settle()
    assert await rules.run(box.clock.now()) is None
    assert (await box.execute("a")).status_code == 200
    await box.settle()
    due = await rules.run(box.clock.now())
    assert due is None or due > box.clock.now() + SOONEST_RESOLVE
