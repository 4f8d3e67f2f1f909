"""A terminal tells whether a CLI is at work in it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from kokino.cli import app
from kokino.testing.broker import PATIENCE, TestBroker

FLEET = """
[[agents]]
id = "writer"
cli_type = "scripted"
cwd = "."
mode = "tmux"
"""
LAST = ("running", "executionId", "state", "kind")


async def attach(broker: TestBroker) -> Result:
    """What `kokino attach --print` says."""
    words = ["attach", "writer", "--print", "--url", broker.url]
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, words))


async def below(broker: TestBroker) -> str:
    """What whoever attaches reads in the line below the screen."""
    terminal = broker.broker.services.executions.runner.workshop.terminals.shown("writer")
    assert terminal is not None
    target = f"{terminal.session}:"
    return " ".join(await terminal.client.run("display-message", "-p", "-t", target, "#{E:status-left}"))


async def told(broker: TestBroker) -> tuple[Any, ...]:
    """Whether something runs in it, and what ran last."""
    found = await broker.get("/agents/writer/terminal")
    assert (found["endedAt"] is None) == (found["state"] == "running")
    return tuple(found[name] for name in LAST)


async def test_a_terminal_whose_cli_has_ended_says_so_and_how(tmp_path: Path) -> None:
    """Its last screen stays, and looks as if the CLI were waiting for somebody."""
    async with TestBroker(tmp_path / "home", FLEET) as broker:
        done = (await broker.execute("writer")).json()["executionId"]
        assert await told(broker) == (False, done, "completed", None)
        assert "· its CLI exited with code 0 at " in await below(broker)
        said = await attach(broker)
        assert said.stdout.startswith("tmux -S ")
        assert f"No CLI runs in it now. {done} ended at " in said.stderr
        assert ": completed. You see its last screen." in said.stderr

        body = {"prompt": "Work.\nscript: emit begun; ignore SIGINT; hang"}
        asked = await broker.http.post(
            "/agents/writer/execute", json=body, headers={"Prefer": "respond-async"}
        )
        execution = asked.json()["executionId"]
        async with asyncio.timeout(PATIENCE):
            while "begun" not in str(await broker.get("/agents/writer/logs?lines=20")):
                await asyncio.sleep(0.02)
        assert await told(broker) == (True, execution, "running", None)
        assert "its CLI" not in await below(broker)
        assert (await attach(broker)).stderr == ""

        await broker.post("/agents/writer/execute/cancel")
        assert await told(broker) == (False, execution, "cancelled", "cancelled")
        assert "· its CLI " in await below(broker)
        assert ": cancelled. You see its last screen." in (await attach(broker)).stderr


BROKEN = """
[cli_types.broken]
driver = "scripted"
command = ["false"]
[[agents]]
id = "writer"
cli_type = "broken"
cwd = "."
mode = "tmux"
retries = { crash = 1, protocol = 1 }
"""


async def test_between_two_tries_nothing_runs_in_a_terminal(tmp_path: Path) -> None:
    """The execution goes on; whoever attaches sees what the last try left, and hears that another comes."""
    async with TestBroker(tmp_path / "home", BROKEN) as broker:
        asked = await broker.http.post(
            "/agents/writer/execute", json={"prompt": "Work."}, headers={"Prefer": "respond-async"}
        )
        execution = asked.json()["executionId"]
        async with asyncio.timeout(PATIENCE):
            while not await broker.get("/api/metrics/events?type=EXECUTION_RETRIED&limit=1"):
                await asyncio.sleep(0.02)
        await broker.settle()
        assert await told(broker) == (False, execution, "running", None)
        assert "The next try of its execution begins soon." in (await attach(broker)).stderr
        await broker.fast_forward(minutes=1)
        assert (await broker.get(f"/executions/{execution}"))["attempts"] == 2
