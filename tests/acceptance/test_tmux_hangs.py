"""A tmux server that does not answer holds up nobody who wants an execution, or the broker, to end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from kokino.process.tmux.terminal import Gone
from kokino.testing.broker import TestBroker
from tests.acceptance.serving import processes_of

#: Far longer than anything here takes, in seconds.
PATIENCE = 60
#: As long as the broker would wait for tmux: nothing here passes that waits for it.
FOR_EVER = 86_400.0
FLEET = """
[cli_types.claude-code]
driver = "scripted"
[[agents]]
id = "writer"
cli_type = "claude-code"
cwd = "."
mode = "tmux"
limits = { grace = "500ms", timeout = "10m" }
"""


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """One agent that is worked in tmux."""
    async with TestBroker(tmp_path / "home", FLEET) as running:
        yield running


@contextmanager
def hanging(broker: TestBroker, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The broker's tmux server is stopped meanwhile."""
    pid = broker.broker.services.warden.running["tmux"].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        with monkeypatch.context() as patched:
            patched.setattr("kokino.process.tmux.client.PATIENCE", FOR_EVER)
            yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def started(broker: TestBroker, script: str) -> str:
    """The id of an execution that runs."""
    accepted = await broker.http.post(
        "/agents/writer/execute",
        json={"prompt": f"Work.\nscript: {script}"},
        headers={"Prefer": "respond-async"},
    )
    execution_id: str = accepted.json()["executionId"]
    await seen(broker, execution_id, "startedAt")
    return execution_id


async def seen(broker: TestBroker, execution_id: str, field: str) -> Any:
    """The execution, once it has the field."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await broker.get(f"/executions/{execution_id}"))[field]:
            await asyncio.sleep(0.02)
    return found


async def says(broker: TestBroker, word: str) -> None:
    """Return when the agent's log has the word."""
    async with asyncio.timeout(PATIENCE):
        while word not in str(await broker.get("/agents/writer/logs?lines=20")):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("state", ["cancelled", "timeout"])
async def test_an_execution_ends_though_tmux_does_not_answer(
    broker: TestBroker, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """Its tree is stopped without the keys that would have asked it to leave."""
    execution = await started(broker, "emit begun; ignore SIGINT; tool sleep 600s")
    await says(broker, "begun")
    with hanging(broker, monkeypatch):
        if state == "cancelled":
            await broker.http.post(f"/executions/{execution}/cancel")
        else:
            broker.clock.advance(minutes=11)
        ended = await seen(broker, execution, "endedAt")
        assert (ended["state"], processes_of({execution})) == (state, [])
    assert (await broker.execute("writer")).status_code == 200


async def test_an_execution_that_waits_for_its_terminal_can_be_cancelled(
    broker: TestBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it was started: it is told as cancelled, and no failure."""
    assert (await broker.execute("writer")).status_code == 200
    with hanging(broker, monkeypatch):
        execution = await started(broker, "emit begun")
        await broker.http.post(f"/executions/{execution}/cancel")
        ended = await seen(broker, execution, "endedAt")
        assert (ended["state"], ended["kind"], ended["exitCode"]) == ("cancelled", "cancelled", None)
    assert (await broker.execute("writer")).status_code == 200


async def test_an_execution_that_waits_for_its_terminal_ends_by_its_deadline(
    broker: TestBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that nothing of it was started."""
    assert (await broker.execute("writer")).status_code == 200
    with hanging(broker, monkeypatch):
        execution = await started(broker, "emit begun")
        broker.clock.advance(minutes=11)
        ended = await seen(broker, execution, "endedAt")
        assert (ended["state"], ended["kind"], ended["exitCode"]) == ("timeout", "timeout", None)
        assert ended["error"] == "its deadline was over before tmux gave it a terminal: nothing was started"
    assert (await broker.execute("writer")).status_code == 200


async def test_an_agent_is_removed_though_tmux_does_not_answer(
    broker: TestBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its terminal goes as soon as tmux goes on."""
    monkeypatch.setattr("kokino.process.tmux.server.LEAVING", 0.2)
    assert (await broker.execute("writer")).status_code == 200
    tmux = broker.broker.services.executions.runner.workshop.terminals
    terminal = tmux.shown("writer")
    assert terminal is not None
    with hanging(broker, monkeypatch):
        async with asyncio.timeout(PATIENCE):
            await tmux.forget("writer")
    async with asyncio.timeout(PATIENCE):
        # tmux lets go of a window some time after it has said that the session is killed.
        while await terminal.gone() is not Gone.WINDOW:
            await asyncio.sleep(0.02)


async def test_a_broker_stops_though_tmux_does_not_answer(
    broker: TestBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs ends as at any stop, and nothing of it is left."""
    execution = await started(broker, "emit begun; tool sleep 600s")
    await says(broker, "begun")
    with hanging(broker, monkeypatch):
        async with asyncio.timeout(PATIENCE):
            await broker.stop()
    assert processes_of({execution}) == []
