"""An agent that does not get on is told of once, and can be freed, by HTTP and with a clock moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kokino.clock import MILLISECOND, iso
from kokino.executions.overdue.holding import SILENCE
from kokino.executions.recovery import recover
from kokino.testing.broker import TestBroker

PATIENCE = 60
TOML = """
[cli_types.quick]
driver = "scripted"
env = { KOKINO_SCRIPT = "@/script" }
[[agents]]
id = "writer"
cli_type = "quick"
cwd = "."
limits = { timeout = "1h", queue_timeout = "2m", grace = "100ms" }
"""


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """A broker with an agent that may work for an hour."""
    async with TestBroker(tmp_path / "home", TOML.replace("@", str(tmp_path / "home"))) as started:
        yield started


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return once `condition` holds."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0.01)


async def begun(box: TestBroker, script: str = "emit done") -> str:
    """The id of an accepted execution."""
    (box.home / "script").write_text(script, "utf-8")
    answer = await box.http.post(
        "/agents/writer/execute", json={"prompt": "Say hello."}, headers={"Prefer": "respond-async"}
    )
    return str(answer.json()["executionId"])


async def status(box: TestBroker) -> Any:
    """What is told of the agent."""
    [found] = await box.get("/agents/sessions/status")
    return found


async def told(box: TestBroker) -> list[Any]:
    """The lock timeouts so far, oldest first."""
    found: list[Any] = await box.get("/api/metrics/events?type=LOCK_TIMEOUT")
    return found[::-1]


async def in_tool(box: TestBroker) -> str:
    """The id of an execution that is silent, in a tool that does not end."""
    execution = await begun(box, "tool sleep 600s")

    async def is_in_tool() -> bool:
        return (await status(box))["tool"] is not None

    await until(is_in_tool)
    return execution


async def test_a_silent_holder_is_told_of_once_and_cancelling_it_frees_the_agent(box: TestBroker) -> None:
    """At five minutes of silence to the millisecond, with who, for how long and what it waits for."""
    execution = await in_tool(box)
    token = (await status(box))["lockToken"]
    box.clock.move_to(box.clock.now() + SILENCE)

    await until(lambda: is_told(box))
    [event] = await told(box)
    assert (event["agentId"], event["executionId"]) == ("writer", execution)
    assert event["data"] == {
        "reason": "silence",
        "token": token,
        "heldBy": execution,
        "heldMs": 300_000,
        "waitsFor": 'Bash {"command": "sleep 600"}',
    }
    assert (await status(box))["lockOverdueAt"] == event["at"] == iso(box.clock.now())

    box.clock.move_to(box.clock.now() + SILENCE)
    await box.post("/agents/writer/execute/cancel")
    assert (await status(box))["locked"] is False
    assert len(await told(box)) == 1
    (box.home / "script").write_text("emit done", "utf-8")
    assert (await box.execute("writer")).status_code == 200
    assert len(await told(box)) == 1


async def test_another_broker_goes_on_with_the_silence_and_tells_of_it_once(box: TestBroker) -> None:
    """It counts from the last record, not from the start of the execution or of that broker."""
    execution = await begun(box, "stream 40 lines every 50ms; tool sleep 600s")

    async def has_written() -> bool:
        return (await status(box))["lastEventAt"] is not None

    async def is_in_tool() -> bool:
        return (await status(box))["tool"] is not None

    await until(has_written)
    box.clock.advance(seconds=100)
    await until(is_in_tool)
    await taken_over(box)
    before = await status(box)
    started_at, last_at = (
        datetime.fromisoformat(before[name]) for name in ("executionStartedAt", "lastEventAt")
    )
    box.clock.move_to(last_at + SILENCE - MILLISECOND)
    assert await told(box) == []
    box.clock.move_to(last_at + SILENCE)
    await until(lambda: is_told(box))
    await taken_over(box)
    box.clock.advance(minutes=5)
    await box.post("/agents/writer/execute/cancel")
    [event] = await told(box)
    assert event["executionId"] == execution
    assert event["data"]["heldMs"] == (last_at + SILENCE - started_at) // MILLISECOND


async def test_one_that_goes_on_writing_is_not_told_of(box: TestBroker) -> None:
    """However long it runs within its deadline, healthy work pages nobody."""
    await begun(box, "stream 100000 lines every 20ms")
    for _ in range(15):
        box.clock.advance(seconds=100)
        await until(partial(has_written_at, box, box.clock.now()))
    assert await told(box) == []
    await box.post("/agents/writer/execute/cancel")
    assert await told(box) == []


async def test_who_waits_in_vain_is_told_of_with_who_holds_the_agent(box: TestBroker) -> None:
    """The event is the waiter's, and names the holder; the holder itself may be in order."""
    holder = await in_tool(box)
    token = (await status(box))["lockToken"]
    waiter = await begun(box)
    box.clock.advance(minutes=2)
    await until(lambda: is_told(box))
    [event] = await told(box)
    assert event["executionId"] == waiter
    assert event["message"].startswith(f"waited 120 s for agent 'writer': {holder} has run since ")
    assert event["data"] == {
        "reason": "queue",
        "token": token,
        "heldBy": holder,
        "heldMs": 120_000,
        "waitedMs": 120_000,
    }
    assert (await status(box))["lockOverdueAt"] is None
    await box.post("/agents/writer/execute/cancel")


async def taken_over(box: TestBroker) -> None:
    """Another broker follows what runs, as after a restart."""
    runner = box.broker.services.executions.runner
    await runner.release()
    await recover(runner)

    async def is_known() -> bool:
        return (await status(box))["tool"] is not None

    await until(is_known)


async def is_told(box: TestBroker) -> bool:
    """True once there is a lock timeout."""
    return bool(await told(box))


async def has_written_at(box: TestBroker, instant: datetime) -> bool:
    """True once it has written something since that instant."""
    last = (await status(box))["lastEventAt"]
    return last is not None and datetime.fromisoformat(last) >= instant
