"""An agent that fails again and again is stopped, tried and let go on, by HTTP and in virtual time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from kokino.testing.broker import FLEET, TestBroker

GATED = """
[[agents]]
id = "gated"
cli_type = "codex"
cwd = "."
env = {{ KOKINO_SCRIPT = "{home}/gate" }}
"""
FAIL = "Try this.\nscript: fail auth"


@asynccontextmanager
async def fleet(home: Path, database_url: str | None = None) -> AsyncIterator[TestBroker]:
    """Four agents that are well; what the gated one does stands in a file."""
    gated = GATED.format(home=home)
    async with TestBroker(home, FLEET + gated, database_url=database_url) as running:
        yield running


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """A fleet that is well."""
    async with fleet(tmp_path / "home") as running:
        yield running


async def fail(broker: TestBroker, times: int, agent: str = "writer") -> list[httpx.Response]:
    """So many failures in a row."""
    return [await broker.execute(agent, FAIL) for _ in range(times)]


async def circuit(broker: TestBroker, agent: str = "writer", cli_type: str = "claude-code") -> Any:
    """What is told of one circuit."""
    found = (await broker.get("/agents/circuits/status"))["circuits"]
    return next(one for one in found if (one["agentId"], one["cliType"]) == (agent, cli_type))


async def told(broker: TestBroker) -> list[tuple[str, str]]:
    """The circuit events so far, oldest first: what, and on what CLI type."""
    events = await broker.get("/api/metrics/events?limit=500")
    return [
        (event["type"], event["cliType"])
        for event in reversed(events)
        if event["type"].startswith("CIRCUIT_")
    ]


async def test_five_failures_stop_an_agent_for_a_minute_and_a_trial_lets_it_go_on(
    tmp_path: Path, new_storage_url: str
) -> None:
    """Callers are told when to come again; a restart meanwhile changes nothing."""
    async with fleet(tmp_path / "home", new_storage_url) as broker:
        assert [answer.status_code for answer in await fail(broker, 4)] == [502] * 4
        assert (await broker.execute("writer")).status_code == 200
        assert [answer.status_code for answer in await fail(broker, 5)] == [502] * 5
        await broker.fast_forward(seconds=20)

        refused = await broker.execute("writer")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "40")
        said = refused.json()
        assert (said["error"], said["execution"]["state"]) == ("refused", "refused")
        assert "failed 5 times in a row on 'claude-code', the last one auth" in said["detail"]
        assert "POST /agents/writer/circuit/reset" in said["detail"]
        assert (await broker.execute("editor")).status_code == 200

        await broker.stop()
        await broker.start()
        assert (await broker.execute("writer")).headers["Retry-After"] == "40"
        assert (await circuit(broker))["state"] == "open"

        await broker.fast_forward(seconds=40)
        assert (await circuit(broker))["state"] == "half_open"
        assert (await broker.execute("writer", FAIL)).status_code == 502
        assert (await broker.execute("writer")).headers["Retry-After"] == "60"
        await broker.fast_forward(seconds=60)
        assert (await broker.execute("writer")).status_code == 200
        assert (await broker.execute("writer")).status_code == 200
        found = await circuit(broker)
        assert (found["state"], found["failures"], found["lastKind"]) == ("closed", 0, "auth")
        assert [word for word, _ in await told(broker)] == [
            "CIRCUIT_OPENED",
            "CIRCUIT_HALF_OPENED",
            "CIRCUIT_OPENED",
            "CIRCUIT_HALF_OPENED",
            "CIRCUIT_CLOSED",
        ]


async def test_what_was_accepted_before_waits_for_the_trial(broker: TestBroker) -> None:
    """The circuit opens in front of two that wait: nobody has to wake them when the minute is over."""
    asynchronously = {"Prefer": "respond-async"}
    prompts = [FAIL] * 5 + ["Hello.", "Hello again."]
    accepted = [
        await broker.http.post("/agents/writer/execute", json={"prompt": prompt}, headers=asynchronously)
        for prompt in prompts
    ]
    assert {answer.status_code for answer in accepted} == {202}
    await broker.settle()
    paths = [answer.headers["Location"] for answer in accepted]
    assert [(await broker.get(path))["state"] for path in paths] == ["failed"] * 5 + ["queued"] * 2

    late = await broker.http.post(
        "/agents/writer/execute", json={"prompt": "Me too."}, headers=asynchronously
    )
    assert (late.status_code, late.headers["Retry-After"]) == (503, "60")
    await broker.fast_forward(seconds=59)
    assert (await broker.get(paths[5]))["state"] == "queued"
    await broker.fast_forward(seconds=1)
    assert [(await broker.get(path))["state"] for path in paths[5:]] == ["completed"] * 2


async def test_a_half_open_circuit_lets_exactly_one_through(broker: TestBroker) -> None:
    """Twenty come at the same moment; nineteen are refused while the first one still runs."""
    gate = broker.home / "gate"
    gate.write_text("fail auth")
    await fail(broker, 5, "gated")
    await broker.fast_forward(seconds=60)
    gate.unlink()
    os.mkfifo(gate)  # whoever starts waits here until somebody writes

    asked = [asyncio.ensure_future(broker.execute("gated")) for _ in range(20)]
    answers = []
    for answer in asyncio.as_completed(asked):
        answers.append((await answer).status_code)
        if len(answers) == 19:
            await asyncio.to_thread(gate.write_text, "")
    assert sorted(answers) == [200] + [503] * 19
    assert answers[-1] == 200
    assert (await circuit(broker, "gated", "codex"))["state"] == "closed"


async def test_a_trial_that_is_cancelled_leaves_its_place_to_the_next(broker: TestBroker) -> None:
    """It has said nothing about the agent."""
    await fail(broker, 5)
    await broker.fast_forward(seconds=60)
    accepted = await broker.http.post(
        "/agents/writer/execute",
        json={"prompt": "Hang.\nscript: hang"},
        headers={"Prefer": "respond-async"},
    )
    trial = accepted.headers["Location"]
    assert (await broker.execute("writer")).status_code == 503
    assert (await broker.post(f"{trial}/cancel"))["state"] == "cancelled"
    assert (await broker.execute("writer")).status_code == 200


async def test_what_says_nothing_about_the_agent_does_not_open_it(broker: TestBroker) -> None:
    """A rate limit is the vendor's, and neither counts nor ends the row."""
    await fail(broker, 4)
    for _ in range(3):
        assert (await broker.execute("writer", "Go.\nscript: fail rate_limit")).status_code == 502
    assert (await circuit(broker))["failures"] == 4
    await fail(broker, 1)
    assert (await circuit(broker))["state"] == "open"


async def test_a_refused_request_may_come_again_under_its_key(broker: TestBroker) -> None:
    """Nothing has run, so there is nothing to replay: a client that retries by itself gets through."""
    await fail(broker, 5)

    async def ask() -> httpx.Response:
        key = {"Idempotency-Key": "once"}
        return await broker.http.post("/agents/writer/execute", json={"prompt": "Hello."}, headers=key)

    assert (await ask()).status_code == 503
    await broker.fast_forward(seconds=60)
    ran = await ask()
    assert (ran.status_code, "Idempotent-Replayed" in ran.headers) == (200, False)
    assert "Idempotent-Replayed" in (await ask()).headers


async def test_a_reset_closes_it_at_once(broker: TestBroker) -> None:
    """Twice is as good as once, and an agent that nobody knows is not found."""
    await fail(broker, 5)
    assert (await broker.post("/agents/writer/circuit/reset"))["closed"] == 1
    assert (await broker.execute("writer")).status_code == 200
    assert (await broker.post("/agents/writer/circuit/reset"))["closed"] == 0
    assert (await broker.http.post("/agents/nobody/circuit/reset")).status_code == 404
    assert [word for word, _ in await told(broker)] == ["CIRCUIT_OPENED", "CIRCUIT_CLOSED"]


async def test_an_agent_that_was_moved_runs_and_its_circuit_closes_when_it_may_come_back(
    broker: TestBroker,
) -> None:
    """The circuit is of the CLI type that failed; enabling that says that it works again."""
    await fail(broker, 5)
    assert (await broker.execute("writer")).status_code == 503
    await broker.post("/api/fallback/cli/disable", cliType="claude-code", target="codex", reason="it fails")
    moved = await broker.execute("writer")
    assert moved.json()["metadata"]["cliType"] == "codex"
    assert (await circuit(broker))["state"] == "open"
    await broker.post("/api/fallback/cli/enable", cliType="claude-code")
    assert (await circuit(broker))["state"] == "closed"
    assert (await broker.execute("writer")).json()["metadata"]["cliType"] == "claude-code"


async def test_a_circuit_on_the_cli_type_that_it_was_moved_to_is_shown_too(broker: TestBroker) -> None:
    """And what it refuses counts for that CLI type, not for the one that was switched off."""
    await broker.post("/api/fallback/cli/disable", cliType="claude-code", target="codex", reason="it fails")
    await fail(broker, 5)
    refused = (await broker.execute("writer")).json()["execution"]
    assert (refused["cliType"], refused["movedFrom"]) == ("codex", "claude-code")
    assert (await circuit(broker, "writer", "codex"))["state"] == "open"
    assert (await circuit(broker))["state"] == "closed"
    await broker.post("/agents/writer/circuit/reset")
    found = (await broker.get("/agents/circuits/status"))["circuits"]
    assert [one["cliType"] for one in found if one["agentId"] == "writer"] == ["claude-code"]


async def test_probes_are_not_held_and_do_not_count(broker: TestBroker) -> None:
    """They are there to ask."""
    await broker.post("/api/fallback/cli/disable", cliType="claude-code", target="codex", reason="it fails")
    for _ in range(6):
        probe = await broker.post("/api/fallback/cli/probe", cliType="claude-code")
        await broker.settle()
        assert (await broker.get(f"/executions/{probe['executionId']}"))["startedAt"] is not None
    assert await told(broker) == []


async def test_the_dashboard_says_that_prompts_are_refused_and_why(broker: TestBroker) -> None:
    """Whoever looks sees the agent, the reason and the way out."""
    await fail(broker, 5)
    page = (await broker.http.get("/")).text
    assert "has failed 5 times in a row" in page
    assert "/agents/writer/circuit/reset" in page


async def test_failures_are_told_without_what_was_refused(broker: TestBroker) -> None:
    """Whoever compares CLI types reads the kind behind the refusals; the service level counts them all."""
    await fail(broker, 5)
    for _ in range(3):
        await broker.execute("writer")
    (row,) = await broker.get("/api/metrics/failures/by-cli")
    assert (row["failures"], row["total"], row["refused"], row["kinds"]) == (5, 5, 3, {"auth": 5})
    assert "401" in row["lastError"]
    availability = (await broker.get("/api/slo/status"))["availability"]
    assert (availability["window"]["good"], availability["window"]["total"]) == (0, 8)
