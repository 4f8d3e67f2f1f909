"""What a CLI needs is taken away, for real: the doctor says so, the alert fires; it is put back, and ends."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from kokino.agents.drivers.scripted import PROGRAM
from kokino.testing.broker import PATIENCE, TestBroker
from tests.sleepers import a_length, sleepers

ROOT = Path(__file__).resolve().parents[2]
RULE = "environment-degraded"
#: Of a child, in seconds.
SLEEPS = a_length()
#: A CLI that tells its version; while there is a file beside it, it hangs, and a child of its own with it.
TOOL = f"""\
#!/bin/sh
if [ -e "$0.hangs" ]; then
    setsid sleep {SLEEPS} &
    wait
fi
echo "2.1.197 (pretended)"
"""
#: One CLI type for each check, all of them well.
TOML = """
[doctor]
at_start = true
timeout = "4s"
every = "1h"
again = "30s"
[cli_types.of-binary]
driver = "scripted"
command = ["of-binary"]
env = {{ PATH = "{bin}:/usr/bin:/bin" }}
[cli_types.of-environment]
driver = "scripted"
env = {{ HOME = "{home}/own" }}
[cli_types.of-auth]
driver = "claude-code"
command = ["{bin}/of-auth"]
env = {{ HOME = "{home}/login" }}
[cli_types.of-disk]
driver = "scripted"
[cli_types.of-dryrun]
driver = "scripted"
command = ["{bin}/of-dryrun"]
[cli_types.unused]
driver = "scripted"
command = ["no-such-program"]
"""
AGENT = """
[[agents]]
id = "{check}-agent"
cli_type = "of-{check}"
cwd = "{cwd}"
"""
CHECKS = ("binary", "environment", "auth", "disk", "dryrun")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"only root can mount a small tmpfs to fill up: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
async def broker(tmp_path: Path, small_disk: Path) -> AsyncIterator[TestBroker]:
    """Five CLI types that are well, each with an agent."""
    home, programs = tmp_path / "home", tmp_path / "bin"
    for folder in (home / "own", home / "login" / ".claude", programs):
        folder.mkdir(parents=True)
    for name in ("of-binary", "of-auth", "of-dryrun"):
        put_program(programs / name)
    put_login(home)
    toml = TOML.format(bin=programs, home=home) + "".join(
        AGENT.format(check=check, cwd=small_disk if check == "disk" else home) for check in CHECKS
    )
    async with TestBroker(home, toml) as started:
        await started.settle()
        yield started


def put_program(path: Path) -> None:
    """Make it one that can be run."""
    path.write_text(TOOL)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def put_login(home: Path, **more: Any) -> None:
    """Log in, by a secret that is none."""
    login = {"claudeAiOauth": {"accessToken": "sk-ant-canary-0123456789", **more}}
    (home / "login" / ".claude" / ".credentials.json").write_text(json.dumps(login))


def break_all(home: Path, programs: Path, disk: Path) -> None:
    """Take away what each of them needs."""
    (programs / "of-binary").unlink()
    (home / "own").rmdir()
    (home / "login" / ".claude" / ".credentials.json").unlink()
    (disk / "rubbish").write_bytes(b"\0" * (1000 * 1024))
    (programs / "of-dryrun.hangs").touch()


def mend_all(home: Path, programs: Path, disk: Path) -> None:
    """Put it back."""
    put_program(programs / "of-binary")
    (home / "own").mkdir()
    put_login(home)
    (disk / "rubbish").unlink()


async def states(broker: TestBroker) -> dict[str, str]:
    """The state of the alert of each CLI type."""
    await broker.settle()
    alerts = await broker.get("/api/alerts")
    return {one["labels"]["cli_type"]: one["state"] for one in alerts if one["ruleId"] == RULE}


async def timeline(broker: TestBroker, cli_type: str) -> dict[str, str]:
    """The latest entry of each kind of the incident of a CLI type; of the pattern its id."""
    incidents = (await broker.get("/api/incidents"))["items"]
    [incident] = [one["id"] for one in incidents if one["labels"] == {"cli_type": cli_type}]
    entries = (await broker.get(f"/api/incidents/{incident}"))["timeline"]
    return {entry["kind"]: entry["data"].get("pattern") or entry["text"] for entry in entries}


async def events(broker: TestBroker, type: str) -> list[Any]:
    """Those of one type."""
    return list(await broker.get(f"/api/metrics/events?type={type}&limit=500"))


def failed(diagnosis: Any) -> list[str]:
    """The names of its failed checks."""
    return [check["name"] for check in diagnosis["checks"] if not check["passed"] and check["isRequired"]]


async def test_whatever_is_taken_away_raises_the_alert_until_it_is_back(
    broker: TestBroker, tmp_path: Path, small_disk: Path
) -> None:
    """Each by its own check, one alert for each CLI type; told once, with what mends it and no secret."""
    # All is well at the start, without anybody's asking.
    at_start = await broker.get("/api/health/environment")
    assert (at_start["overall"], [failed(one) for one in at_start["results"]]) == ("healthy", [[]] * 5)
    assert await events(broker, "ENV_DEGRADED") == []
    told = {one["data"]["check"] for one in await events(broker, "ENV_CHECK_PASSED")}
    assert told == {*CHECKS, "version"}

    # Each breaks in its own way; within the hour nobody has looked, then the doctor does by itself.
    break_all(broker.home, tmp_path / "bin", small_disk)
    assert (await broker.get("/api/health/environment"))["overall"] == "healthy"
    await broker.fast_forward(hours=1)
    found = await broker.get("/api/health/environment")
    by_type = {one["cliType"]: one for one in found["results"]}
    assert found["overall"] == "degraded"
    assert {name: failed(one) for name, one in by_type.items()} == {
        "of-binary": ["binary", "dryrun"],
        "of-environment": ["environment"],
        "of-auth": ["auth"],
        "of-disk": ["disk"],
        "of-dryrun": ["dryrun"],
    }
    assert await states(broker) == {f"of-{check}": "firing" for check in CHECKS}
    assert "did not end within 4 s and was killed with its processes" in json.dumps(by_type["of-dryrun"])
    assert sleepers(SLEEPS) == []

    # The playbook has told each one's cause, and the command that mends it.
    causes = {name: await timeline(broker, name) for name in by_type}
    assert {name: told["pattern"] for name, told in causes.items()} == {
        "of-binary": "binary",
        "of-environment": "folders",
        "of-auth": "login",
        "of-disk": "disk",
        "of-dryrun": "dry-run",
    }
    assert (
        f"log in as '{tmp_path}/bin/of-auth' wants it, with HOME={broker.home}/login"
        in causes["of-auth"]["note"]
    )
    assert f"mkdir -p {broker.home}/own" in causes["of-environment"]["note"]

    # What is unwell is looked at again soon, and told of no more than once; what is mended is seen then.
    (tmp_path / "bin" / "of-dryrun.hangs").unlink()
    await broker.fast_forward(seconds=31)
    assert len(await events(broker, "ENV_DEGRADED")) == 5
    assert [name for name, state in (await states(broker)).items() if state == "resolved"] == ["of-dryrun"]
    assert (
        by_type["of-auth"]["timestamp"]
        < (await broker.get("/api/health/environment?cli=of-auth"))["timestamp"]
    )

    # The repair is seen at once by whoever asks for a look, for one CLI type and for all.
    mend_all(broker.home, tmp_path / "bin", small_disk)
    one = await broker.post("/api/health/environment", cliType="of-auth")
    assert (one["cliType"], one["passed"], one["ageMs"]) == ("of-auth", True, 0)
    assert (await states(broker))["of-auth"] == "resolved"
    assert (await broker.post("/api/health/environment"))["overall"] == "healthy"
    assert set((await states(broker)).values()) == {"resolved"}
    assert len(await events(broker, "ENV_RESTORED")) == 5
    assert "canary" not in json.dumps(
        [await events(broker, name) for name in ("ENV_CHECK_PASSED", "ENV_CHECK_FAILED")]
    )

    await broker.fast_forward(minutes=2)
    assert {name: (await timeline(broker, name))["verified"][:8] for name in by_type} == dict.fromkeys(
        by_type, "Verified"
    )

    # One whose agents are gone bothers nobody any more.
    put_login(broker.home, expiresAt=1_000)
    expired = await broker.post("/api/health/environment", cliType="of-auth")
    assert "has expired at 1970-01-01" in json.dumps(expired)
    assert (await states(broker))["of-auth"] == "firing"
    assert (await broker.http.delete("/agents/auth-agent")).status_code in {200, 204}
    await broker.fast_forward(seconds=31)
    assert (await states(broker))["of-auth"] == "resolved"

    # What nobody uses is looked at when it is asked for, and raises nothing.
    unused = await broker.get("/api/health/environment?cli=unused")
    assert (unused["passed"], failed(unused)) == (False, ["binary"])
    tried = await broker.post("/api/health/environment", cliType="unused")
    assert (tried["passed"], failed(tried)) == (False, ["binary", "dryrun"])
    assert "unused" not in await states(broker)


PROMPTED = """
[doctor]
at_start = false
every = "365d"
timeout = "5m"
dry_run = "{dry_run}"
[cli_types.codex]
driver = "scripted"
command = ["{command}"]
env = {{ KOKINO_SCRIPT = "{home}/script" }}
[[agents]]
id = "reviewer"
cli_type = "codex"
cwd = "."
"""


async def test_a_prompt_as_a_dry_run_finds_what_a_version_cannot(tmp_path: Path) -> None:
    """A quota that is used up; as a probe, which counts for nobody's service level."""
    command = f'{sys.executable}", "-I", "-S", "{PROGRAM}'
    toml = PROMPTED.format(dry_run="prompt", command=command, home=tmp_path)
    async with TestBroker(tmp_path, toml) as broker:
        good = await broker.post("/api/health/environment", cliType="codex")
        assert [one["message"][:17] for one in good["checks"] if one["name"] == "dryrun"] == [
            "answered a prompt"
        ]

        (tmp_path / "script").write_text("fail quota")
        ill = await broker.post("/api/health/environment", cliType="codex")
        [dry_run] = [one for one in ill["checks"] if one["name"] == "dryrun"]
        assert (failed(ill), "failed with kind quota" in dry_run["message"]) == (["dryrun"], True)
        assert (await states(broker)) == {"codex": "firing"}
        assert (await broker.get("/api/slo/status"))["availability"]["current"] is None


async def test_a_restart_does_not_wait_for_a_cli_that_hangs(tmp_path: Path) -> None:
    """It is killed, whoever waits for the answer is told, and the next broker can look."""
    put_program(tmp_path / "tool")
    hangs = tmp_path / "tool.hangs"
    hangs.touch()
    toml = PROMPTED.format(dry_run="version", command=tmp_path / "tool", home=tmp_path)
    async with TestBroker(tmp_path, toml) as broker:
        asked = asyncio.create_task(broker.http.post("/api/health/environment"))
        async with asyncio.timeout(PATIENCE):
            while not sleepers(SLEEPS):
                await asyncio.sleep(0.02)
        http = broker.http
        restarted = asyncio.create_task(broker.broker.hand_over())
        answer = await asked
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
        handover = await restarted
        assert sleepers(SLEEPS) == []
        await http.aclose()
        hangs.unlink()
        await broker.take_over(handover)
        assert (await broker.post("/api/health/environment"))["overall"] == "healthy"
