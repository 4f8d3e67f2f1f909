"""A request that is repeated under its key runs once, and a caller that goes away keeps nothing busy."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from kokino.testing.broker import PATIENCE, TestBroker
from tests.acceptance.serving import serving

ONE_AGENT = '[[agents]]\nid = "writer"\ncli_type = "scripted"\ncwd = "."\nlimits = { grace = "100ms" }\n'
HANG = "Work.\nscript: hang"
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
async def broker(tmp_path: Path, new_storage_url: str) -> AsyncIterator[TestBroker]:
    """One agent, on each database."""
    url = new_storage_url if new_storage_url.startswith("postgresql") else None
    async with TestBroker(tmp_path / "home", ONE_AGENT, database_url=url) as running:
        yield running


async def execute(broker: TestBroker, key: str, prompt: str = "Say hello.", **more: Any) -> httpx.Response:
    """Ask under a key."""
    headers = {"Idempotency-Key": key, **more.pop("headers", {})}
    return await broker.http.post(
        "/agents/writer/execute", json={"prompt": prompt, **more}, headers=headers, timeout=PATIENCE
    )


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return once `condition` holds."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0.01)


async def executions(broker: TestBroker) -> list[Any]:
    """All there are, the newest first."""
    found: list[Any] = (await broker.get("/executions"))["items"]
    return found


def waiting() -> list[str]:
    """The tasks that wait on behalf of callers; broker and test share one event loop."""
    return [task.get_name() for task in asyncio.all_tasks() if "caller" in task.get_name()]


async def test_the_same_request_is_answered_with_the_same_execution(broker: TestBroker) -> None:
    """After its end a repeated request gets the same answer, which says that it is one."""
    first = await execute(broker, "build-17", metadata={"a": 1, "b": 2})
    again = await execute(broker, "build-17", metadata={"b": 2, "a": 1}, timeoutMs=None)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(await executions(broker)) == 1


async def test_a_failure_is_replayed_like_a_success(broker: TestBroker) -> None:
    """Only another key runs it again: the caller decides, not the network."""
    first = await execute(broker, "k", "Fail.\nscript: fail auth")
    again = await execute(broker, "k", "Fail.\nscript: fail auth")
    assert (first.status_code, again.status_code) == (502, 502)
    assert again.json() == first.json()
    other = await execute(broker, "k2", "Fail.\nscript: fail auth")
    assert other.json()["execution"]["executionId"] != first.json()["execution"]["executionId"]


async def test_another_body_under_the_same_key_is_refused(broker: TestBroker) -> None:
    """The answer names the key and who has it."""
    execution = (await execute(broker, "build-17")).json()["executionId"]
    answer = await execute(broker, "build-17", "Say goodbye.")
    assert answer.status_code == 422
    assert answer.json()["error"] == "idempotency_key_taken"
    assert "'build-17'" in answer.json()["detail"]
    assert execution in answer.json()["detail"]
    assert [fault["field"] for fault in answer.json()["errors"]] == ["Idempotency-Key"]
    assert len(await executions(broker)) == 1


async def test_a_key_is_the_agents_own(broker: TestBroker) -> None:
    """Two agents may be asked under the same key."""
    other = {"agentId": "reader", "cliType": "scripted", "cwd": str(broker.home)}
    await broker.post("/agents/register", **other)
    first = await execute(broker, "k")
    second = await broker.http.post(
        "/agents/reader/execute", json={"prompt": "Say hello."}, headers={"Idempotency-Key": "k"}
    )
    assert second.status_code == 200
    assert second.json()["executionId"] != first.json()["executionId"]


@pytest.mark.parametrize("key", ["", "two words", "k" * 256, "naïve", "tab\there"])
async def test_what_is_no_key_is_refused(broker: TestBroker, key: str) -> None:
    """The answer says what a key may be, and nothing runs."""
    answer = await broker.http.post(
        "/agents/writer/execute",
        json={"prompt": "hi"},
        headers=[(b"Idempotency-Key", key.encode("latin-1"))],
    )
    assert answer.status_code == 422
    assert "1 to 255 visible ASCII characters" in answer.json()["detail"]
    assert await executions(broker) == []


async def test_twenty_callers_at_once_make_one_execution(broker: TestBroker) -> None:
    """Each of them waits for it, and one alone was the first."""
    answers = await asyncio.gather(*(execute(broker, "k") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["executionId"] for answer in answers}) == 1
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers].count(None) == 1
    assert len(await executions(broker)) == 1


async def test_while_it_runs_one_may_wait_for_it_or_be_told_where_it_is(broker: TestBroker) -> None:
    """A second caller waits for the same end; with respond-async it gets the same 202."""
    accepted = await execute(broker, "k", HANG, headers=ASYNC)
    again = await execute(broker, "k", HANG, headers=ASYNC)
    assert (accepted.status_code, again.status_code) == (202, 202)
    assert again.headers["Location"] == accepted.headers["Location"]
    waits = asyncio.create_task(execute(broker, "k", HANG))
    await until(lambda: _holds(len(waiting()) > 0))
    await broker.post(f"{accepted.headers['Location']}/cancel")
    answer = await waits
    assert answer.status_code == 409
    assert answer.json()["execution"]["executionId"] == accepted.json()["executionId"]


async def test_a_refusal_in_the_queue_gives_the_key_back(broker: TestBroker) -> None:
    """Whoever comes again after its lock timeout, as it was told to, is run at last."""
    await broker.post("/api/pause", scope="agent", id="writer", reason="a test")
    refused = (await execute(broker, "k", headers=ASYNC)).headers["Location"]
    await broker.fast_forward(minutes=6)
    assert (await broker.get(refused))["kind"] == "lock_timeout"
    await broker.post("/api/resume", scope="agent", id="writer")

    answer, again = await execute(broker, "k"), await execute(broker, "k")

    assert (answer.status_code, again.status_code) == (200, 200)
    assert "Idempotent-Replayed" not in answer.headers
    assert again.json() == answer.json()
    assert len(await executions(broker)) == 2


async def test_an_agent_that_is_registered_anew_knows_no_key_of_its_predecessor(broker: TestBroker) -> None:
    """Its CLI, folder and session may be others: an old answer is not its own."""
    first = await execute(broker, "k")
    assert (await broker.http.delete("/agents/writer")).status_code == 204
    await broker.post("/agents/register", agentId="writer", cliType="scripted", cwd=str(broker.home))

    second = await execute(broker, "k")

    assert second.status_code == 200
    assert second.json()["executionId"] != first.json()["executionId"]


async def test_a_key_is_forgotten_after_a_day(broker: TestBroker) -> None:
    """The same request is a new one then."""
    first = (await execute(broker, "k")).json()["executionId"]
    await broker.fast_forward(hours=23)
    assert (await execute(broker, "k")).json()["executionId"] == first
    await broker.fast_forward(hours=2)
    assert (await execute(broker, "k")).json()["executionId"] != first


async def test_a_caller_that_goes_away_leaves_an_execution_that_goes_on(broker: TestBroker) -> None:
    """Its wait ends with it, and what was accepted runs to its end."""
    caller = asyncio.create_task(execute(broker, "k", HANG))
    await until(lambda: _holds(len(waiting()) > 0))
    caller.cancel()
    await until(lambda: _holds(not waiting()))
    assert len(broker.broker.services.executions.attendance) == 0
    [execution] = await executions(broker)
    assert execution["state"] in {"queued", "running"}
    await broker.post(f"/executions/{execution['executionId']}/cancel")


async def test_a_caller_may_want_it_cancelled_when_it_goes_away(broker: TestBroker) -> None:
    """With ``cancelOnDisconnect`` a closed connection cancels it; nothing of it is left."""
    caller = asyncio.create_task(execute(broker, "k", HANG, cancelOnDisconnect=True))
    await until(lambda: _holds(len(waiting()) > 0))
    caller.cancel()
    await until(lambda: _has_ended(broker))
    [execution] = await executions(broker)
    assert (execution["state"], execution["kind"]) == ("cancelled", "cancelled")
    await until(lambda: _holds(not waiting()))


async def test_it_is_not_cancelled_under_another_caller_that_waits(broker: TestBroker) -> None:
    """Who came back under its key before the first connection broke loses nothing."""
    callers = [asyncio.create_task(execute(broker, "k", HANG, cancelOnDisconnect=True)) for _ in range(2)]
    await until(lambda: _holds(len(waiting()) == 4))  # each is two: for the end, and for the caller
    callers[0].cancel()
    await until(lambda: _holds(len(waiting()) == 2))
    [execution] = await executions(broker)
    assert execution["state"] in {"queued", "running"}
    callers[1].cancel()
    await until(lambda: _has_ended(broker))


def test_a_crash_forgets_no_key(tmp_path: Path) -> None:
    """The key is written with the execution: after a SIGKILL the caller comes back to the same one."""
    with serving(tmp_path / "home", f'[process]\nhold = "60s"\n{ONE_AGENT}') as broker:
        headers = {"Idempotency-Key": "k", **ASYNC}
        body = {"prompt": "Work.\nscript: stream 20 lines every 100ms"}
        first = broker.http.post("/agents/writer/execute", json=body, headers=headers)
        broker.end(signal.SIGKILL)
        broker.start()
        again = broker.http.post("/agents/writer/execute", json=body, headers={"Idempotency-Key": "k"})
        assert again.status_code == 200
        assert again.json()["executionId"] == first.json()["executionId"]
        assert again.headers["Idempotent-Replayed"] == "true"
        assert len(broker.get("/executions")["items"]) == 1


async def _holds(condition: bool) -> bool:
    """A plain condition, for `until`."""
    return condition


async def _has_ended(broker: TestBroker) -> bool:
    """True once the one execution is over."""
    [execution] = await executions(broker)
    return execution["endedAt"] is not None
