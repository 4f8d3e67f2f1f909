"""The doctor tells whether a broker can do its work here, with a broker and without one."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from kokino import __version__
from kokino.config import FILE_NAME
from kokino.process.cgroup import find_delegated
from kokino.testing.broker import PATIENCE, TestBroker
from tests.acceptance.serving import KOKINO
from tests.sleepers import a_length, sleepers

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
[cli_types.well]
driver = "scripted"
command = ["{tool}"]
[[agents]]
id = "reviewer"
cli_type = "codex"
cwd = "shop"
[[agents]]
id = "writer"
cli_type = "well"
cwd = "."
"""
#: Of the process that is left behind, in seconds.
SLEEPS = a_length()
#: A CLI that tells its version, and leaves a process behind that hides in a session of its own.
TOOL = f"""\
#!/bin/sh
/usr/bin/setsid /usr/bin/sleep {SLEEPS} &
echo "2.1.197 (pretended)"
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


async def test_every_part_that_is_not_ready_is_a_failed_check(broker: TestBroker) -> None:
    """With what is wrong; the CLI types are then looked at without the broker's database."""
    await broker.settle()
    database = sqlite3.connect(broker.home / "broker" / "data" / "kokino.db")
    for table in ("agents", "deliveries"):
        database.execute(f"ALTER TABLE {table} RENAME TO {table}_gone")
    database.close()
    broker.broker.services.engine.wake()
    async with asyncio.timeout(PATIENCE):
        while "failed" not in (await broker.http.get("/readyz")).json()["checks"]["engine.deliveries"]:
            await asyncio.sleep(0.01)
    assert (await broker.http.get("/readyz")).json()["notifications"] == "degraded"

    for columns in (120, 80):
        said = await doctor(url=broker.url, columns=columns)
        assert (said.returncode, said.stderr) == (1, "")
        assert widest(said.stdout.partition("To mend it")[0]) <= columns
    flat = " ".join((await doctor(url=broker.url, columns=1000)).stdout.split())
    assert re.search(r"failed database \S+kokino\.db: no such table: agents", flat)
    log = broker.home / "broker" / "logs" / "broker.log"
    assert re.search(
        rf"failed engine\.deliveries .*no such table: deliveries.*{log} tells the whole error", flat
    )
    others = len(broker.broker.services.engine.health) - 1
    assert f"ok readiness at work: dispatch, {others} engine modules" in flat
    assert "warning notifications wait" in flat
    assert "it tells nothing of CLI types" in flat
    assert "ok claude-code binary" in flat
    mends = flat.partition("To mend it")[2]
    assert "database, engine.deliveries: (no command is known" in mends


@contextmanager
def older(**paths: object) -> Iterator[str]:
    """What a broker of an earlier version answers, at these paths and nowhere else."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            found = paths.get(self.path.partition("?")[0].rpartition("/")[2])
            self.send_response(404 if found is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(found or {"detail": "Not Found"}).encode())

        do_POST = do_GET  # noqa: N815 - its name says what it answers

        def log_message(self, format: str, *arguments: object) -> None:
            """Says nothing on the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def test_a_broker_of_an_older_version_is_told_and_the_rest_looked_at(tmp_path: Path) -> None:
    """It is to be restarted; what it does not tell can be seen without it."""
    about = {"version": "0.0.9", "home": str(tmp_path), "pid": 17}
    ready = {"status": "ok", "checks": {"database": "ok", "warden": "ok"}, "notifications": "ok"}
    with older(about=about, readyz=ready, environment={"overall": "no_data", "results": []}) as url:
        said = await doctor(url=url, columns=1000)
    flat = " ".join(said.stdout.split())
    assert (said.returncode, said.stderr) == (1, "")
    expected = f"failed version the broker is Kokino 0.0.9, this is {__version__}: restart it, by a stop"
    assert expected in flat
    assert "ok readiness at work: database, warden" in flat
    assert "it tells nothing of supervision" in flat
    assert "ok subreaper" in flat
    assert "version: (no command is known" in flat


async def test_of_a_very_old_broker_the_version_alone_is_enough(tmp_path: Path) -> None:
    """All else is looked at from here."""
    with older(health={"status": "ok", "version": "0.0.1"}) as url:
        said = await doctor(url=url, columns=1000, KOKINO_HOME=str(tmp_path))
    flat = " ".join(said.stdout.split())
    assert "the broker is Kokino 0.0.1, this is" in flat
    assert "it tells nothing of supervision and CLI types" in flat
    assert "ok subreaper" in flat


async def test_a_broker_that_can_restart_itself_is_told_to(tmp_path: Path) -> None:
    """By the command, with its address; another version that tells all is only warned of."""
    warden = {"pid": 17, "state": "replaced", "memoryMB": 1.0}
    running = {"executions": 0, "processes": 0, "memoryMB": 0.0}
    supervision = {"tier": "tree walk", "checks": [], "warnings": [], "warden": warden, "running": running}
    with older(
        about={"version": "0.0.9", "home": str(tmp_path), "pid": 17, "restart": None},
        readyz={"checks": {"database": "ok"}, "integrity": "damaged: found by the integrity check c-1"},
        environment={"overall": "no_data", "results": []},
        supervision=supervision,
    ) as url:
        said = await doctor(url=url, columns=1000)
    flat = " ".join(said.stdout.split())
    assert "warning version the broker is Kokino 0.0.9" in flat
    assert f"version: kokino restart --url {url}" in flat
    assert "failed integrity damaged: found by the integrity check c-1; look again" in flat
    assert f"integrity: kokino integrity check --url {url}" in flat
    assert "failed warden pid 17 died, another one is being started" in flat
    assert "warden: (no command is known" in flat


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
    """CLIs are tried out; what fails comes with the command that mends it; nothing is left behind."""
    home, tool, runtime, room = (tmp_path / name for name in ("home", "tool", "too-long-" * 10, "tmp"))
    for folder in (home, runtime, room):
        folder.mkdir()
    tool.write_text(TOOL)
    tool.chmod(0o755)
    (home / FILE_NAME).write_text(BROKEN.format(tool=tool))
    said = await doctor(
        "--home",
        str(home),
        PATH="/nowhere",
        HOME=str(tmp_path),
        XDG_RUNTIME_DIR=str(runtime),
        TMPDIR=str(room),
    )
    assert said.returncode == 1, said.stderr
    flat = " ".join(said.stdout.split())
    assert f"No broker was asked: none answers at {NOWHERE}" in flat
    table, _, mends = said.stdout.partition("To mend it")
    assert widest(table) <= 80
    assert "npm install -g @openai/codex" in mends
    assert f"mkdir -p {home / 'shop'}" in mends
    assert f"HOME={tmp_path} codex login" in mends
    assert "unset XDG_RUNTIME_DIR" in mends
    assert "not started: its working directory is missing" in flat
    assert "told 2.1.197 in" in flat
    assert "5 checks failed" in said.stdout
    assert sleepers(SLEEPS) == []
    assert [path.name for path in home.iterdir()] == [FILE_NAME]
    assert [*runtime.iterdir(), *room.iterdir()] == []


async def test_what_only_a_broker_can_try_is_said_not_to_be_tried(tmp_path: Path) -> None:
    """With the command that makes it possible; whoever is strict takes it for no success."""
    (tmp_path / FILE_NAME).write_text('[doctor]\ndry_run = "prompt"\n')
    arguments = ("--home", str(tmp_path), "--cli", "scripted")
    said = await doctor(*arguments, "--format", "json")
    told = json.loads(said.stdout)
    [dry_run] = [one for one in told["environment"]["results"][0]["checks"] if one["name"] == "dryrun"]
    assert (said.returncode, told["passed"]) == (0, True)
    assert (dry_run["passed"], dry_run["isTried"], dry_run["isRequired"]) == (False, False, False)
    assert dry_run["mend"] == f"kokino serve --home {tmp_path}"
    strict = await doctor(*arguments, "--strict", columns=500)
    assert strict.returncode == 1
    assert re.search(r"warning +(scripted +)?dryrun +not tried: a prompt takes a broker", strict.stdout)


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


async def diagnose(*arguments: str, url: str = NOWHERE, columns: int = 200, **more: str) -> Any:
    """What the script said, which needs no Kokino."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/", "KOKINO_URL": url, "COLUMNS": str(columns), **more}
    return await asyncio.to_thread(
        subprocess.run,
        [str(ROOT / "scripts" / "diagnose-headless.sh"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


async def test_the_script_asks_the_broker_with_curl_and_jq_alone(broker: TestBroker) -> None:
    """Every check of every CLI type, looked at now; the exit code tells whether anything is missing."""
    good = await diagnose(url=broker.url)
    assert (good.returncode, good.stderr) == (0, "")
    assert "\nAll that is needed is there.\n" in good.stdout
    assert [good.stdout.count(f"ok       {name} ") for name in ("binary", "auth", "disk", "dryrun")] == [
        2
    ] * 4
    one = await diagnose("--cli", "codex", url=broker.url)
    assert (one.returncode, one.stdout.count("ok       dryrun ")) == (0, 1)

    missing = await diagnose("--cli=qwen", url=broker.url, columns=80)
    assert (missing.returncode, missing.stderr) == (1, "")
    findings = missing.stdout.partition("To mend it")[0].splitlines()
    assert [line for line in findings if len(line) > 80 and " " in line[24:]] == []
    assert re.search(r"failed   binary  .*'qwen' is not on PATH", missing.stdout)
    assert "  qwen binary:\n    npm install -g @qwen-code/qwen-code\n" in missing.stdout
    assert missing.stdout.endswith("\n3 checks failed.\n")

    assert (
        "  qwen dryrun:\n    (no command is known: the findings above tell what there is to do)\n"
        in missing.stdout
    )

    unknown = await diagnose("--cli", "qwne", url=broker.url)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "there is no CLI type 'qwne'; known: " in unknown.stderr


def tools(folder: Path, *names: str) -> str:
    """A PATH on which these programs are alone, beside what the script cannot do without."""
    folder.mkdir()
    for name in ("bash", "sed", "df", "tail", "tr", "grep", "cut", "env", *names):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    return str(folder)


async def test_without_jq_the_script_tells_all_the_same_whether_a_broker_answers(
    broker: TestBroker, tmp_path: Path
) -> None:
    """And what it takes to read what that says."""
    said = await diagnose(url=broker.url, PATH=tools(tmp_path / "tools", "curl"))
    assert (said.returncode, said.stderr) == (2, "")
    assert f"The broker at {broker.url} answers, but jq is missing to read what it says." in said.stdout
    assert "  install it, as with:\n    apt-get install jq\n" in said.stdout


async def test_nothing_that_a_terminal_obeys_comes_through_the_script() -> None:
    """Whatever field it stands in: commands that mend something are shown to be pasted."""
    evil = "a\x1b]0;b\x07c\u009bd\ne"
    check = {"name": evil, "passed": False, "isRequired": True, "message": evil, "mend": evil}
    environment = {"cliType": evil, "checks": [check], "warnings": [evil], "machine": [check]}
    supervision = {"tier": evil, "passed": False, "checks": [check], "warnings": [evil]}
    with older(health={"version": evil}, environment=environment, supervision=supervision) as url:
        said = await diagnose(url=url)
    assert (said.returncode, said.stderr) == (1, "")
    assert "a ]0;b c d e a ]0;b c d e:\n    a ]0;b c d e\n" in said.stdout
    assert [line for line in said.stdout.splitlines() if not line.isprintable()] == []


async def test_the_script_tells_what_can_be_seen_without_a_broker(tmp_path: Path) -> None:
    """Programs, the disk below the home, the last errors of the log; and what it needs itself."""
    log = tmp_path / "broker" / "logs" / "broker.log"
    log.parent.mkdir(parents=True)
    log.write_text("2026-01-05 INFO fine\n2026-01-05 ERROR the disk is \x1b[31mfull\n")
    said = await diagnose(KOKINO_HOME=str(tmp_path))
    assert (said.returncode, said.stderr) == (2, "")
    assert f"No broker was asked: none answers at {NOWHERE}." in said.stdout
    assert "warning  claude       is not on PATH; needed only if agents use it" in said.stdout
    assert re.search(rf"{tmp_path} is \d+% full", said.stdout)
    assert "  2026-01-05 ERROR the disk is [31mfull\n" in said.stdout
    assert "fine" not in said.stdout
    assert said.stdout.endswith("\nWhat to do next\n\n  start one:\n    kokino serve\n")

    bare = await diagnose(PATH=tools(tmp_path / "tools"), KOKINO_HOME=str(tmp_path))
    assert (bare.returncode, bare.stderr) == (2, "")
    assert "No broker was asked: curl is missing for that." in bare.stdout
    assert bare.stdout.endswith("  install it, as with:\n    apt-get install curl jq\n")
    wrong = await diagnose("--clii")
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "diagnose-headless: there is no option --clii; see --help\n",
    )
    assert "Exit code 0" in (await diagnose("--help")).stdout


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
