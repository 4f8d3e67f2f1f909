"""A used-up quota parks its account until it is full again, by HTTP and in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from kokino.clock import iso
from kokino.testing.broker import TestBroker

#: It says that it resets at midnight.
NO_QUOTA = "Try this.\nscript: fail quota"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """Writer and editor share an account, the reviewer has another."""
    async with TestBroker(tmp_path / "home") as running:
        yield running


async def submit(broker: TestBroker, agent: str) -> str:
    """Submit a prompt without waiting for it; where it is found."""
    accepted = await broker.http.post(
        f"/agents/{agent}/execute", json={"prompt": "Hello."}, headers={"Prefer": "respond-async"}
    )
    assert accepted.status_code == 202, accepted.text
    return accepted.headers["Location"]


async def state(broker: TestBroker, path: str) -> str:
    """Where an execution is."""
    return str((await broker.get(path))["state"])


async def pauses(broker: TestBroker) -> list[Any]:
    """Everything that is paused."""
    found: list[Any] = (await broker.get("/api/fallback/status"))["pauses"]
    return found


async def until(broker: TestBroker, instant: datetime) -> None:
    """Let time pass up to `instant`."""
    await broker.fast_forward(seconds=(instant - broker.clock.now()).total_seconds())


async def test_all_agents_of_an_account_wait_until_its_quota_is_full_again(
    tmp_path: Path, new_storage_url: str
) -> None:
    """They start at that very instant, also when the broker was restarted meanwhile; others are not held."""
    async with TestBroker(tmp_path / "home", database_url=new_storage_url) as broker:
        assert (await broker.execute("writer", NO_QUOTA)).json()["error"] == "quota"
        (pause,) = await pauses(broker)
        assert (pause["scope"], pause["setBy"]) == ("account", "kokino")
        assert "resets at midnight" in pause["reason"]
        ends_at = datetime.fromisoformat(pause["endsAt"])
        assert timedelta(0) < ends_at - broker.clock.now() <= timedelta(days=1)
        assert (await broker.execute("reviewer")).status_code == 200

        await until(broker, ends_at - timedelta(seconds=60))
        waiting = [await submit(broker, agent) for agent in ("writer", "editor", "editor")]
        await broker.stop()
        await broker.start()
        await until(broker, ends_at - timedelta(milliseconds=1))
        assert {await state(broker, path) for path in waiting} == {"queued"}
        await until(broker, ends_at)
        assert {await state(broker, path) for path in waiting} == {"completed"}
        assert {(await broker.get(path))["startedAt"] for path in waiting} == {iso(ends_at)}
        assert await pauses(broker) == []
        (resumed,) = await broker.get("/api/metrics/events?type=ACCOUNT_RESUMED")
        assert (resumed["at"], resumed["account"]) == (iso(ends_at), pause["id"])


async def test_who_waited_in_vain_is_told_what_for_and_when_to_come_again(broker: TestBroker) -> None:
    """409 after the queue timeout, with the time that is left until the quota resets."""
    await broker.execute("writer", NO_QUOTA)
    (pause,) = await pauses(broker)
    ends_at = datetime.fromisoformat(pause["endsAt"])

    path = await submit(broker, "editor")
    await broker.fast_forward(minutes=5)
    waited = await broker.get(path)
    assert (waited["state"], waited["kind"]) == ("refused", "lock_timeout")
    assert waited["error"].startswith("waited 300 s for agent 'editor': account ")
    assert f"is paused until {pause['endsAt']} (quota: " in waited["error"]

    pending = broker.http.build_request("POST", "/agents/editor/execute", json={"prompt": "Hello."})
    answer = await answered_after(broker, pending, minutes=5)
    left = ends_at - broker.clock.now()
    assert (answer.status_code, answer.json()["error"]) == (409, "lock_timeout")
    assert answer.headers["Retry-After"] == str(int(left.total_seconds()))


async def answered_after(broker: TestBroker, request: httpx.Request, **length: float) -> httpx.Response:
    """The answer to a request that is answered once so much time has passed."""
    asked = asyncio.ensure_future(broker.http.send(request))
    while not (await broker.get("/executions?state=queued"))["items"]:
        await asyncio.sleep(0.01)
    await broker.fast_forward(**length)
    return await asked


async def test_a_pause_of_a_persons_lifts_itself_at_its_end(broker: TestBroker) -> None:
    """``until`` is an instant ahead; resuming earlier is always possible."""
    ends_at = broker.clock.now() + timedelta(minutes=2)
    body = {"scope": "agent", "id": "writer", "reason": "upgrade", "until": iso(ends_at)}
    status = await broker.post("/api/pause", **body)
    assert [(one["setBy"], one["endsAt"]) for one in status["pauses"]] == [("local", iso(ends_at))]
    path = await submit(broker, "writer")
    await until(broker, ends_at - timedelta(milliseconds=1))
    assert await state(broker, path) == "queued"
    await until(broker, ends_at)
    assert (await state(broker, path), await pauses(broker)) == ("completed", [])

    await broker.post("/api/pause", **{**body, "until": iso(ends_at + timedelta(hours=1))})
    await broker.post("/api/resume", scope="agent", id="writer")
    assert (await broker.execute("writer")).status_code == 200


@pytest.mark.parametrize(
    ("path", "instant"),
    [
        pytest.param("/api/pause", "2026-01-05T08:59:59Z", id="it is over"),
        pytest.param("/api/pause", "2026-01-05T09:00:00", id="it is now, in UTC"),
        pytest.param("/api/pause", "soon", id="no time"),
        pytest.param("/api/resume", "2026-01-05T10:00:00Z", id="a resume has no end"),
    ],
)
async def test_an_end_that_means_nothing_is_refused(broker: TestBroker, path: str, instant: str) -> None:
    """The answer names the field."""
    answer = await broker.http.post(path, json={"scope": "all", "until": instant})
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == ["until"]


async def test_a_rate_limit_parks_nothing(broker: TestBroker) -> None:
    """It is over before anybody could resume it; the CLI has tried for minutes already."""
    await broker.execute("writer", "Go.\nscript: fail rate_limit")
    assert await pauses(broker) == []


async def test_the_dashboard_says_when_a_pause_lifts_itself(broker: TestBroker) -> None:
    """Beside who set it and why."""
    await broker.execute("writer", NO_QUOTA)
    page = (await broker.http.get("/")).text
    assert "lifts itself" in page
    assert "resets at midnight" in page


@pytest.mark.parametrize("path", ["/api/pause", "/api/resume"])
@pytest.mark.parametrize(("scope", "name"), [("agent", "writr"), ("account", "nobody:~")])
async def test_a_name_that_nobody_has_is_told(broker: TestBroker, path: str, scope: str, name: str) -> None:
    """A slip of the pen would pause nothing, or leave paused what should run, and nobody would know."""
    answer = await broker.http.post(path, json={"scope": scope, "id": name, "reason": "maintenance"})
    assert answer.status_code == 404
    assert repr(name) in answer.json()["detail"]


async def test_what_waits_has_its_whole_time_after_a_start(broker: TestBroker) -> None:
    """While there was no broker nothing could have started it."""
    await broker.post("/api/pause", scope="agent", id="writer", reason="maintenance")
    place = await submit(broker, "writer")
    await broker.fast_forward(minutes=4)
    await broker.stop()
    broker.clock.advance(minutes=10)
    await broker.start()
    await broker.fast_forward(minutes=4)
    assert await state(broker, place) == "queued"
    await broker.fast_forward(minutes=1)
    assert await state(broker, place) == "refused"
