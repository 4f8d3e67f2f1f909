"""The doctor tells whether a broker can do its work here, with a broker and without one."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kokino.config import FILE_NAME
from kokino.process.cgroup import find_delegated
from kokino.testing.broker import PATIENCE, TestBroker
from tests.acceptance.serving import KOKINO

ROOT = Path(__file__).resolve().parents[2]
#: Nobody listens there: the port is kept for discarding what is sent.
NOWHERE = "http://127.0.0.1:9"
PROMISES = (
    "subreaper",
    "pidfd",
    "parent-death signal",
    "proportional memory",
    "socket",
    "hole punching",
    "priority",
    "cgroup v2",
)
BROKEN = """
[[agents]]
id = "reviewer"
cli_type = "codex"
cwd = "shop"
"""


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """A broker with three agents that can all work."""
    async with TestBroker(tmp_path / "home") as running:
        yield running


async def doctor(*arguments: str, url: str = NOWHERE, columns: int = 80, **more: str) -> Any:
    """What the command said, in a terminal of so many columns."""
    environment = {**os.environ, "KOKINO_URL": url, "COLUMNS": str(columns), **more}
    return await asyncio.to_thread(
        subprocess.run,
        [str(KOKINO), "doctor", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def widest(text: str) -> int:
    """Columns of the longest line."""
    return max(map(len, text.splitlines()))


async def test_the_route_tells_what_holds_executions_together(broker: TestBroker) -> None:
    """The self-check's findings, the tier that is in force, and the warden."""
    told = await broker.get("/api/health/supervision")
    assert [check["name"] for check in told["checks"]] == list(PROMISES)
    assert told["passed"], told
    assert told["tier"] == ("cgroup" if find_delegated() else "tree walk")
    assert (told["cgroup"] is None) == (told["tier"] == "tree walk")
    assert (told["warden"]["pid"], told["warden"]["state"]) == (broker.broker.ground.warden.pid, "serving")
    assert told["running"] == {"executions": 0, "processes": 0, "memoryMB": 0}


async def test_the_route_answers_from_the_last_check_until_a_fresh_one_is_asked_for(
    broker: TestBroker,
) -> None:
    """The timestamp says which it was."""
    first = (await broker.get("/api/health/supervision"))["timestamp"]
    broker.clock.advance(minutes=1)
    assert (await broker.get("/api/health/supervision"))["timestamp"] == first
    fresh = (await broker.get("/api/health/supervision?fresh=true"))["timestamp"]
    assert fresh > first
    assert (await broker.get("/api/health/supervision"))["timestamp"] == fresh


async def test_a_warden_that_died_is_told(broker: TestBroker) -> None:
    """Until another one serves, which then has another pid."""
    before = (await broker.get("/api/health/supervision"))["warden"]["pid"]
    os.kill(before, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        while (told := await broker.get("/api/health/supervision"))["warden"]["pid"] == before or not told[
            "passed"
        ]:
            assert told["passed"] is (told["warden"]["state"] == "serving")
            assert told["passed"] is (told["warden"]["fault"] is None)
    assert (told["warden"]["state"], told["warnings"]) == ("serving", [])


async def test_a_broker_is_asked_where_there_is_one(broker: TestBroker) -> None:
    """Every check in its line, within the terminal's columns; exit code 0, for all passes."""
    for columns in (120, 80):
        said = await doctor(url=broker.url, columns=columns)
        assert said.returncode == 0, said.stdout + said.stderr
        assert widest(said.stdout) <= columns
    assert f"The broker at {broker.url} was asked" in " ".join(said.stdout.split())
    assert f"pid {broker.broker.ground.warden.pid} serves" in said.stdout
    assert [
        name for name in (*PROMISES, "claude-code", "codex", "binary", "disk") if name not in said.stdout
    ] == []
    assert said.stdout.splitlines()[-1].startswith("0 checks failed")


async def test_a_program_gets_json(broker: TestBroker) -> None:
    """With all that the two routes tell; of one CLI type where one is named."""
    said = await doctor("--format", "json", "--cli", "codex", url=broker.url)
    told = json.loads(said.stdout)
    assert (said.returncode, told["passed"], told["broker"]["home"]) == (0, True, str(broker.home))
    assert [one["cliType"] for one in told["environment"]["results"]] == ["codex"]
    assert [check["name"] for check in told["supervision"]["checks"]] == list(PROMISES)
    unknown = await doctor("--cli", "codx", url=broker.url)
    assert (unknown.returncode, "there is no CLI type 'codx'" in unknown.stderr) == (1, True)


async def test_a_broker_of_another_home_is_not_asked(broker: TestBroker, tmp_path: Path) -> None:
    """Who names a home wants to know of that one."""
    other = await doctor("--home", str(tmp_path / "other"), url=broker.url)
    assert other.returncode == 0, other.stdout
    assert f"has the home {broker.home}" in other.stdout.replace("\n", " ").replace("  ", " ")
    own = await doctor("--home", str(broker.home), "--format", "json", url=broker.url)
    assert json.loads(own.stdout)["broker"]["home"] == str(broker.home)


async def test_without_a_broker_the_machine_and_the_file_are_looked_at(tmp_path: Path) -> None:
    """What fails comes with the command that mends it, whole, and exit code 1; nothing is left behind."""
    home = tmp_path / "home"
    home.mkdir()
    (home / FILE_NAME).write_text(BROKEN)
    runtime = tmp_path / ("too-long-" * 10)
    runtime.mkdir()
    said = await doctor("--home", str(home), PATH="/nowhere", XDG_RUNTIME_DIR=str(runtime))
    assert said.returncode == 1, said.stderr
    assert f"No broker was asked: none answers at {NOWHERE}" in " ".join(said.stdout.split())
    table, _, mends = said.stdout.partition("To mend it")
    assert widest(table) <= 80
    assert "npm install -g @openai/codex" in mends
    assert f"mkdir -p {home / 'shop'}" in mends
    assert "unset XDG_RUNTIME_DIR" in mends
    assert "3 checks failed" in said.stdout
    assert [path.name for path in home.iterdir()] == [FILE_NAME]
    assert list(runtime.iterdir()) == []


async def test_a_file_with_faults_is_told_with_the_rest(tmp_path: Path) -> None:
    """The machine is looked at all the same."""
    (tmp_path / FILE_NAME).write_text('[process]\ncgroup = "always"\nhold = 30\n')
    said = await doctor("--home", str(tmp_path), columns=500)
    assert said.returncode == 1, said.stderr
    assert f"{FILE_NAME}:2: process.cgroup" in said.stdout
    assert f"{FILE_NAME}:3: process.hold" in said.stdout
    assert re.search(r"ok\s+subreaper", said.stdout)
    assert "kokino serve --check" in said.stdout
    assert "CLI types were not looked at" in said.stdout


async def test_a_warning_fails_only_where_somebody_wants_it_to(tmp_path: Path) -> None:
    """A machine without holes in its files can run executions."""
    read_only = Path("/proc/home")  # nobody can make a file there
    for arguments, code in ((), 0), (("--strict",), 1):
        said = await doctor("--home", str(read_only), *arguments)
        assert said.returncode == code, said.stdout
        assert re.search(r"warning\s+hole punching", said.stdout)


async def test_the_commands_of_the_page_do_what_it_says(broker: TestBroker) -> None:
    """All of docs/supervision.md but those of systemd, as a person would paste them."""
    page = (ROOT / "docs" / "supervision.md").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    wanted = [line for line in lines if not line.startswith("systemd-run ")]
    assert len(wanted) == 5
    environment = {**os.environ, "KOKINO_URL": broker.url, "PATH": f"{KOKINO.parent}:{os.environ['PATH']}"}
    script = "set -euo pipefail\n" + "\n".join(wanted)
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"state": "serving"' in done.stdout
