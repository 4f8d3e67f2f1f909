"""Agents that are worked in tmux, through the front door: answers, context, ends, and what is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from kokino.executions.terminal import startup, typist
from kokino.process.tmux.terminal import Terminal
from kokino.testing.broker import TestBroker
from tests.acceptance.serving import KOKINO, Served, processes_of, serving
from tests.acceptance.serving import until as until_now
from tests.sleepers import a_length, sleepers

#: Far longer than anything here takes, in seconds.
PATIENCE = 60
#: Of a double-forked daemon, in seconds.
DAEMON = a_length()
FLEET = """
[cli_types.claude-code]
driver = "scripted"
env = {{ KOKINO_SCRIPTED_HOME = "{memory}" }}
[cli_types.quiet]
driver = "qwen"
command = ["{quiet}"]
[[agents]]
id = "writer"
cli_type = "claude-code"
cwd = "."
mode = "tmux"
[[agents]]
id = "deaf.one"
cli_type = "claude-code"
cwd = "."
mode = "tmux"
env = {{ KOKINO_SCRIPTED_TERMINAL = "trust deaf" }}
[[agents]]
id = "small"
cli_type = "claude-code"
cwd = "."
mode = "tmux"
limits = {{ memory_mb = 64, timeout = "10m" }}
[[agents]]
id = "quiet"
cli_type = "quiet"
cwd = "."
mode = "tmux"
"""
#: A CLI that no driver knows the screen of: it draws, thinks and falls silent.
QUIET = """#!/usr/bin/env python3
import sys
print("Quiet CLI 1.0", *sys.argv[1:2], "\\n", flush=True)
prompt = sys.stdin.readline().strip()
print(f"> {prompt}\\n\\nYou said {len(prompt)} letters.", flush=True)
sys.stdin.read()
"""


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """Scripted agents in terminals."""
    quiet = tmp_path / "quiet"
    quiet.write_text(QUIET)
    quiet.chmod(0o755)
    toml = FLEET.format(memory=tmp_path / "memory", quiet=quiet)
    async with TestBroker(tmp_path / "home", toml) as running:
        yield running


async def until(condition: Callable[[], Any]) -> Any:
    """What `condition` gives, once it gives something."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await condition()):
            await asyncio.sleep(0.02)
    return found


async def begun(broker: TestBroker, agent: str, script: str) -> str:
    """The id of an execution that has said something."""
    headers = {"Prefer": "respond-async"}
    body = {"prompt": f"Work.\nscript: emit begun; {script}"}
    accepted = await broker.http.post(f"/agents/{agent}/execute", json=body, headers=headers)
    execution_id: str = accepted.json()["executionId"]

    async def has_begun() -> bool:
        lines = (await broker.get(f"/agents/{agent}/logs?lines=20"))["lines"]
        return any(line["executionId"] == execution_id and "begun" in line["body"] for line in lines)

    await until(has_begun)
    return execution_id


async def ended(broker: TestBroker, execution_id: str) -> Any:
    """The execution, once it has ended."""

    async def is_over() -> Any:
        found = await broker.get(f"/executions/{execution_id}")
        return found if found["endedAt"] else None

    return await until(is_over)


def terminal_of(broker: TestBroker, agent: str) -> Terminal:
    """The terminal of an agent that has one."""
    found = broker.broker.services.executions.runner.workshop.terminals.shown(agent)
    assert found is not None
    return found


async def failures_of(broker: TestBroker, agent: str) -> int:
    """How many failures in a row its circuit breaker has counted."""
    circuits = (await broker.get("/agents/circuits/status"))["circuits"]
    return sum(one["failures"] for one in circuits if one["agentId"] == agent)


def is_there(socket: str) -> bool:
    """The server's socket has a file."""
    return Path(socket).exists()


def failed(answer: httpx.Response) -> tuple[int, str, str]:
    """What a failed one is told as."""
    execution = answer.json()["execution"]
    return answer.status_code, execution["kind"], execution["error"]


async def test_a_session_goes_on_in_tmux_and_headless(broker: TestBroker) -> None:
    """The same answers, records, figures and context as headless; and back again."""
    first = (await broker.execute("writer", "Remember the heron.")).json()
    await broker.post(
        "/agents/register", agentId="writer", cliType="claude-code", cwd=str(broker.home), mode="headless"
    )
    second = (await broker.execute("writer", "And the owl.")).json()
    await broker.post(
        "/agents/register", agentId="writer", cliType="claude-code", cwd=str(broker.home), mode="tmux"
    )
    third = (await broker.execute("writer", "!ls\n/exit")).json()

    assert first["content"] == 'Thank you. In turn 1 you said "Remember the heron.".'
    assert second["content"].endswith('Before that: "Remember the heron.".')
    assert third["content"] == 'Thank you. In turn 3 you said "!ls /exit". Before that: "And the owl.".'
    assert len({one["conversationId"] for one in (first, second, third)}) == 1
    executions = (await broker.get("/executions?agent=writer"))["items"]
    assert [one["mode"] for one in executions] == ["tmux", "headless", "tmux"]
    for one in executions:
        assert (one["state"], one["cliVersion"]) == ("completed", "2.1.197-scripted.1")
        assert one["usage"]["outputTokens"] > 0
        assert one["peakMemoryMB"] > 0
    lines = (await broker.get("/agents/writer/logs?lines=100"))["lines"]
    assert sum('"type": "result"' in line["body"] for line in lines) == 3
    turns = (await broker.get("/agents/writer/conversation"))["items"]
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 3


async def test_a_dialog_an_enter_that_is_not_heard_and_a_megabyte(broker: TestBroker) -> None:
    """A known question is answered, Enter pressed until the prompt has left, and a paste has any size."""
    prompt = f"{'x' * 79}\n" * 12_500 + "and the last line"
    answer = await broker.execute("deaf.one", prompt)
    assert answer.status_code == 200, answer.text
    shown = await broker.get("/agents/deaf.one/terminal")
    assert shown["command"][:2] == ["tmux", "-S"]
    assert "-r" in shown["command"]
    turns = (await broker.get("/agents/deaf.one/conversation"))["items"]
    assert len(turns[0]["content"]) == len(prompt)
    assert (await broker.http.get("/agents/writer/terminal")).status_code == 409


async def test_a_cli_of_which_only_the_screen_tells(
    broker: TestBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ready and done when it is quiet; the answer is what came to its screen."""
    monkeypatch.setattr(startup, "QUIET", 5)
    monkeypatch.setattr(typist, "QUIET", 10)
    answer = (await broker.execute("quiet", "How many letters?")).json()
    assert answer["content"] == "You said 17 letters."
    lines = (await broker.get("/agents/quiet/logs?lines=10"))["lines"]
    assert [(line["stream"], line["body"]) for line in lines] == [("screen", "You said 17 letters.")]


async def test_how_it_ends_is_told_as_headless(broker: TestBroker) -> None:
    """A refusal, a crash, too much memory, a key that stops it: the same kinds. A terminal that is closed is
    no fault of the CLI's.
    """
    assert failed(await broker.execute("writer", "script: fail auth"))[:2] == (502, "auth")
    status, kind, error = failed(await broker.execute("writer", "script: crash 3"))
    assert (status, kind) == (502, "crash")
    assert error.startswith("exited with code 3 without a result record")
    assert "unknown directive 'nonsense'" in failed(await broker.execute("writer", "script: nonsense"))[2]
    assert failed(await broker.execute("small", "script: eat 300MB; hang"))[:2] == (502, "oom")

    before = await failures_of(broker, "writer")
    execution = await begun(broker, "writer", "tool sleep 600s")
    await terminal_of(broker, "writer").keys("Escape")
    stopped = await ended(broker, execution)
    assert (stopped["state"], stopped["kind"], stopped["exitCode"]) == ("cancelled", "cancelled", 0)
    assert stopped["error"].startswith("stopped at its terminal by a key; its CLI says: ")

    execution = await begun(broker, "writer", "ignore SIGHUP; hang")
    terminal = terminal_of(broker, "writer")
    await terminal.client.run("kill-session", "-t", terminal.session)
    closed = await ended(broker, execution)
    assert (closed["state"], closed["kind"]) == ("lost", "lost")
    assert closed["error"].startswith("its terminal was closed, by whom is not known")

    execution = await begun(broker, "writer", "hang")
    os.kill(broker.broker.services.warden.running["tmux"].pid, signal.SIGKILL)
    closed = await ended(broker, execution)
    assert (closed["state"], closed["kind"]) == ("lost", "lost")
    assert closed["error"].startswith("the tmux server ended, and with it every agent's terminal")
    assert await failures_of(broker, "writer") == before > 0
    assert (await broker.execute("writer")).status_code == 200


async def test_it_is_stopped_with_everything_that_it_started(broker: TestBroker) -> None:
    """Cancelled, overdue, silent: its tree is gone before the agent is free."""
    execution = await begun(broker, "writer", f"ignore SIGINT; double-fork {DAEMON}s; tool sleep 600s")
    await broker.post("/agents/writer/execute/cancel")
    assert (await broker.get(f"/executions/{execution}"))["state"] == "cancelled"
    assert processes_of({execution}) == []
    assert sleepers(DAEMON) == []

    execution = await begun(broker, "small", "tool sleep 600s")
    broker.clock.advance(minutes=11)
    assert ((await ended(broker, execution))["state"], processes_of({execution})) == ("timeout", [])

    execution = await begun(broker, "writer", "hang")
    broker.clock.advance(minutes=3)
    assert (await ended(broker, execution))["kind"] == "idle_timeout"
    assert (await broker.execute("writer")).status_code == 200


async def test_nothing_is_left_after_a_stop(broker: TestBroker) -> None:
    """Neither the server, nor a holder, nor the socket; and of an agent that was removed, no terminal."""
    await asyncio.gather(broker.execute("writer"), broker.execute("small"))
    session = terminal_of(broker, "small").session
    assert (await broker.http.delete("/agents/small")).status_code == 204
    listed = await terminal_of(broker, "writer").client.run("list-sessions", "-F", "#{session_id}")
    assert session not in listed
    socket = (await broker.get("/agents/writer/terminal"))["socket"]
    below = psutil.Process(broker.broker.ground.warden.pid).children(recursive=True)
    assert any("tmux" in process.name() for process in below)
    await broker.stop()
    assert psutil.wait_procs(below, timeout=PATIENCE)[1] == []
    assert not is_there(socket)


async def test_without_tmux_such_an_agent_is_refused(tmp_path: Path) -> None:
    """By the registration, and where the file names one by each execution: told is what to do."""
    toml = FLEET.format(memory=tmp_path / "memory", quiet="quiet")
    async with TestBroker(tmp_path / "home", toml, environment={"PATH": "/nowhere"}) as broker:
        refused = await broker.execute("writer")
        assert (refused.status_code, refused.json()["execution"]["state"]) == (503, "refused")
        assert "apt-get install tmux" in refused.json()["detail"]
        body = {"agentId": "x", "cliType": "claude-code", "cwd": str(tmp_path), "mode": "tmux"}
        said = await broker.http.post("/agents/register", json=body)
        assert (said.status_code, said.json()["errors"][0]["field"]) == (422, "mode")


def is_below(folder: Path, process: psutil.Process) -> bool:
    """Its environment names the folder; the tmux server of another test's broker may be gone by now."""
    try:
        return str(folder) in " ".join(process.environ().values())
    except psutil.Error:
        return False


def test_a_broker_that_dies_or_is_replaced_leaves_nothing_in_tmux(tmp_path: Path) -> None:
    """Who typed is gone: what it typed at is ended by the next broker, and told as lost.

    Who asks for a restart is shown before what it would end, and after it what it has ended.
    """
    toml = FLEET.format(memory=tmp_path / "memory", quiet="quiet")
    with serving(tmp_path / "home", toml) as broker:
        execution = broker.accept("writer", "Work.\nscript: emit begun; tool sleep 600s")
        until_now(lambda: "begun" in str(broker.get("/agents/writer/logs?lines=9")["lines"]))
        before = processes_of({execution, "tmux"})
        ours = [one for one in before if is_below(tmp_path, one)]

        broker.end(signal.SIGKILL)
        broker.start()

        lost = broker.ended(execution)
        assert (lost["state"], lost["kind"]) == ("lost", "lost")
        assert "ends with who types" in lost["error"]
        assert ours
        assert psutil.wait_procs(ours, timeout=PATIENCE)[1] == []
        assert broker.execute("writer").status_code == 200
        assert is_there(broker.get("/agents/writer/terminal")["socket"])

        execution = broker.accept("writer", "Work.\nscript: emit begun; hang")
        until_now(lambda: execution in str(broker.get("/api/about")["bound"]))
        line = f"  writer  {execution}  in tmux\n"
        refused = restart(broker)
        assert refused.returncode == 1
        assert f"1 execution would end with this broker, as lost:\n{line}" in refused.stdout
        assert "nothing was restarted, for nobody answered: give --yes" in refused.stderr
        assert broker.get(f"/executions/{execution}")["state"] == "running"
        done = restart(broker, "--yes")
        assert (
            f"no execution goes on.\n1 execution ended with the earlier one, as lost:\n{line}" in done.stdout
        )
        assert broker.ended(execution)["state"] == "lost"


def restart(broker: Served, *options: str) -> subprocess.CompletedProcess[str]:
    """What ``kokino restart`` says to somebody who cannot answer."""
    argv = [str(KOKINO), "restart", "--wait", "10m", "--url", str(broker.http.base_url).rstrip("/"), *options]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
