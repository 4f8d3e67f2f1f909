"""The commands of the specification, word for word, against the broker that `make run` starts."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import socket
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.serving import PATIENCE, Served, serving

#: The specification's commands name this port. `make test` runs a file's tests in one worker, one by one.
PORT = 5050

#: How a program moves about on a terminal.
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ROOT = Path(__file__).resolve().parents[2]
SPECIFICATION = ROOT / "tests" / "spec" / "ALERT-PLAYBOOKS.md"
SECTION = "Availability SLO Breach (P1)"

#: Commands that do not speak to the broker, whole, and why they are not run.
EXCEPTIONS: Mapping[str, tuple[str, str]] = {
    "Send page": (
        "it pages a person at pagerduty.com; the broker's own pages go to a recording PagerDuty elsewhere",
        (
            "curl -X POST https://pagerduty.com/api/v1/incidents \\\n"
            "  -H 'Authorization: Token token=YOUR_TOKEN' \\\n"
            '  -d \'{"incident":{"type":"incident","title":"P1: Kokino Availability SLO Breach"}}\''
        ),
    ),
    "Or via Slack": (
        "it needs a program of somebody else's; the broker's own posts go to a recording Slack elsewhere",
        'slack send @platform-lead "P1 Availability breach - need help"',
    ),
}


def section(heading: str) -> str:
    """One section of the second level."""
    text = SPECIFICATION.read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def commands(heading: str) -> dict[str, str]:
    """The commands of a section's bash blocks, in order, by the comment above each; all else is verbatim."""
    blocks = re.findall(r"^```bash\n(.*?)^```", section(heading), re.MULTILINE | re.DOTALL)
    found: dict[str, str] = {}
    for paragraph in (part.strip() for block in blocks for part in block.split("\n\n")):
        title, _, command = paragraph.partition("\n")
        if all(line.startswith("#") for line in paragraph.splitlines()):
            continue  # what the answer looks like
        assert title.startswith("# "), paragraph
        assert title[2:] not in found, title
        found[title[2:]] = command
    return found


COMMANDS = commands(SECTION)


class Shell:
    """A person in the folder that the broker was started from."""

    def __init__(self, broker: Served) -> None:
        self.broker = broker
        self.folder = broker.home

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Type it in. An unquoted `&` puts its left half into the background, so wait for that too."""
        return subprocess.run(
            ["bash", "-c", f"{command}\nstatus=$?\nwait\nexit $status"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def json(self, title: str) -> Any:
        """The JSON that one of the specification's commands prints."""
        ran = self.run(COMMANDS[title])
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def watched(self, command: str, wanted: re.Pattern[str]) -> str:
        """Type it in at a terminal, look until `wanted` is seen, press Ctrl-C; what the screen was sent."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
        environment = {**os.environ, "TERM": "xterm"}
        with subprocess.Popen(
            ["setsid", "--ctty", "bash", "-c", command],
            cwd=self.folder,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            seen = ""
            while not wanted.search(seen) and (read := _read(ours)):
                seen = ESCAPE.sub(" ", seen + read)
            os.write(ours, b"\x03")
            while _read(ours):
                pass
            process.wait(PATIENCE)
        os.close(ours)
        return seen


def _read(terminal: int) -> str:
    """What comes next; empty once nobody is at the other end, or nothing comes for too long."""
    if not select.select([terminal], [], [], PATIENCE)[0]:
        return ""
    try:
        return os.read(terminal, 4096).decode(errors="replace")
    except OSError:
        return ""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Served]:
    """What `make run` starts, in a folder that has the repository's kokino.toml."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", PORT))
        if probe.getsockname()[1] != PORT:
            pytest.fail(f"port {PORT}, which the specification's commands name, is in use: stop its user")
    toml = (ROOT / "kokino.toml").read_text(encoding="utf-8")
    with serving(tmp_path / "kokino", toml, options=()) as served:
        yield served


@pytest.fixture
def shell(broker: Served) -> Shell:
    """A shell in the broker's folder."""
    return Shell(broker)


def test_make_run_serves_the_repository_s_own_folder() -> None:
    """So the commands' relative paths, broker/logs/broker.log and incidents/, mean the broker's files."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^run:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    assert recipe[1].splitlines()[-1].strip() == "$(BIN)/kokino serve --home ."


def test_only_commands_that_do_not_concern_the_broker_are_left_out() -> None:
    """Every other command of the section is run, in a quiet broker and in an outage."""
    left_out = {title: COMMANDS[title] for title in COMMANDS if title in EXCEPTIONS}
    assert left_out == {title: command for title, (_, command) in EXCEPTIONS.items()}
    run = [title for title in COMMANDS if title not in EXCEPTIONS]
    assert run == list(QUIET) == list(OUTAGE)


def test_the_documentation_lists_every_command_of_the_section() -> None:
    """In the specification's order, those that are not run last."""
    page = (ROOT / "docs" / "specification.md").read_text(encoding="utf-8")
    listed = [row for row in re.findall(r"^\| ([^|]+?) \|", page, re.MULTILINE) if row in COMMANDS]
    assert listed == [*QUIET, *EXCEPTIONS]


def test_every_command_works_before_anything_has_run(shell: Shell) -> None:
    """A broker that knows nothing yet says so, in the same shapes."""
    follow(shell, QUIET)


def test_every_command_does_what_the_section_says_in_an_outage(shell: Shell) -> None:
    """The writer fails, two others work: the section's commands find it, go round it and write it down."""
    for _ in range(2):
        assert shell.broker.execute("writer", "script: fail auth").status_code == 502
    for agent in ("reviewer", "tester"):
        assert shell.broker.execute(agent).status_code == 200
    assert shell.broker.get("/agents/sessions/status")[-1]["hasSession"]
    follow(shell, OUTAGE)


def follow(shell: Shell, checks: Mapping[str, Callable[[Shell, str], None]]) -> None:
    """Run the commands in the specification's order, each followed by its check."""
    for title, check in checks.items():
        check(shell, title)


# --- what each command shall come to ----------------------------------------------------------------------


def shows_no_data(shell: Shell, title: str) -> None:
    """No data is said as such and is no breach."""
    found = shell.json(title)
    assert (found["current"], found["target"], found["breached"]) == (None, 0.995, False)
    assert (found["errorBudgetRemaining"], found["state"]) == (None, "no_data")


def shows_the_breach(shell: Shell, title: str) -> None:
    """Two of four failed: under target, and of the 30 days' budget nothing is left."""
    found = shell.json(title)
    assert (found["current"], found["target"], found["breached"]) == (0.5, 0.995, True)
    assert found["errorBudgetRemaining"] == 0
    assert found["alertState"] == "firing"


def prints_an_empty_list(shell: Shell, title: str) -> None:
    """An array, of nothing."""
    assert shell.json(title) == []


def lists_the_failures(shell: Shell, title: str) -> None:
    """The failed executions, each with who, on what and why."""
    found = shell.json(title)
    assert [(event["type"], event["agentId"], event["cliType"], event["kind"]) for event in found] == [
        ("EXECUTION_FAILED", "writer", "claude-code", "auth")
    ] * 2
    assert all("401" in event["message"] for event in found)


def blames_the_cli_type(shell: Shell, title: str) -> None:
    """The failing CLI type stands first, beside the healthy ones."""
    worst, *others = shell.json(title)
    assert (worst["cliType"], worst["failures"], worst["total"]) == ("claude-code", 2, 2)
    assert (worst["failureRate"], worst["kinds"]) == (1.0, {"auth": 2})
    assert "401" in worst["lastError"]
    assert {(one["cliType"], one["failures"]) for one in others} == {("codex", 0), ("gemini", 0)}


def blames_the_agent(shell: Shell, title: str) -> None:
    """An array with an agentId in each element, the failing agent first."""
    found = shell.json(title)
    assert found[0]["agentId"] == "writer"
    assert (found[0]["failures"], found[0]["failureRate"]) == (2, 1.0)
    assert {one["agentId"] for one in found} == {"writer", "reviewer", "tester"}


def examines_the_environment(shell: Shell, title: str) -> None:
    """Every CLI type that agents use is looked at; the scripted ones are well."""
    found = shell.json(title)
    assert found["overall"] == "healthy"
    assert [one["cliType"] for one in found["results"]] == ["claude-code", "codex", "gemini"]
    assert all(one["passed"] and one["checks"] for one in found["results"])


def shows_closed_breakers(shell: Shell, title: str) -> None:
    """Every agent has a breaker, and none has counted anything."""
    found = {one["agentId"]: one for one in shell.json(title)["circuits"]}
    assert set(found) == {"writer", "reviewer", "tester"}
    assert {(one["state"], one["failures"]) for one in found.values()} == {("closed", 0)}


def shows_counted_failures(shell: Shell, title: str) -> None:
    """The writer's breaker has counted what failed, the others nothing."""
    counted = {one["agentId"]: one["failures"] for one in shell.json(title)["circuits"]}
    assert counted == {"writer": 2, "reviewer": 0, "tester": 0}


def finds_no_errors(shell: Shell, title: str) -> None:
    """The log is there and has no line of that level; grep says so with 1."""
    ran = shell.run(COMMANDS[title])
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", "")


def finds_the_errors(shell: Shell, title: str) -> None:
    """Each failed execution has its line."""
    ran = shell.run(COMMANDS[title])
    lines = [line for line in ran.stdout.splitlines() if "agent='writer'" in line and "kind='auth'" in line]
    assert (ran.returncode, len(lines)) == (0, 2), ran.stdout


def disables(shell: Shell, title: str) -> None:
    """Headless claude-code is out of use, with the reason that was given."""
    (off,) = shell.json(title)["disabledCLIs"]
    assert (off["cli"], off["disabled"]) == ("claude-code", True)


def shows_it_disabled(shell: Shell, title: str) -> None:
    """What is disabled, why, and since when."""
    (off,) = shell.json(title)["disabledCLIs"]
    assert (off["cli"], off["disabled"], off["reason"]) == (
        "claude-code",
        True,
        "P1: Availability SLO breach",
    )
    assert datetime.fromisoformat(off["since"]).tzinfo is not None


def watches_nothing(shell: Shell, title: str) -> None:
    """A screen that shows that there is no figure yet."""
    assert "null" in shell.watched(COMMANDS[title], re.compile(r"\bnull\b"))


def watches_the_availability(shell: Shell, title: str) -> None:
    """A screen that shows the figure and goes on showing it."""
    assert "Every 5.0s" in shell.watched(COMMANDS[title], re.compile(r"\b0\.5\b"))


def ends_no_session(shell: Shell, title: str) -> None:
    """Nobody failed, nobody is reset."""
    _write_failures(shell)
    ran = shell.run(COMMANDS[title])
    assert (ran.returncode, ran.stdout) == (0, "")


def ends_the_sessions(shell: Shell, title: str) -> None:
    """Each listed agent's session is ended; the next execution starts a fresh one."""
    _write_failures(shell)
    ran = shell.run(COMMANDS[title])
    answers = [json.loads(answer) for answer in re.findall(r"\{.*?\}", ran.stdout)]
    assert {(answer["agentId"], answer["status"]) for answer in answers} == {
        ("writer", "ended"),
        ("reviewer", "ended"),
        ("tester", "ended"),
    }
    assert not any(agent["hasSession"] for agent in shell.broker.get("/agents/sessions/status"))


def _write_failures(shell: Shell) -> None:
    """The file that the section reads and no step of it makes."""
    by_agent = COMMANDS["Identify affected agents"].removesuffix(" | jq")
    assert shell.run(f"{by_agent} > failures.json").returncode == 0


def prints_null(shell: Shell, title: str) -> None:
    """No figure without executions."""
    assert shell.json(title) is None


def prints_the_recovered_figure(shell: Shell, title: str) -> None:
    """Executions that succeed bring the figure up, exactly."""
    for _ in range(4):
        assert shell.broker.execute("reviewer").status_code == 200
    assert shell.json(title) == 6 / 8


def documents(shell: Shell, title: str) -> None:
    """The folder for it is there, and the line stands in the day's file."""
    ran = shell.run(COMMANDS[title])
    assert (ran.returncode, ran.stderr) == (0, "")
    (file,) = (shell.folder / "incidents").glob("availability-*.md")
    assert file.read_text().startswith("Availability breach resolved at ")


def enables(shell: Shell, title: str) -> None:
    """Headless claude-code is in use again, and the writer's next execution runs on it."""
    assert shell.json(title)["disabledCLIs"] == []
    answer = shell.broker.execute("writer")
    assert (answer.status_code, answer.json()["metadata"]["cliType"]) == (200, "claude-code")


QUIET: Mapping[str, Callable[[Shell, str], None]] = {
    "Check current availability": shows_no_data,
    "View recent failures": prints_an_empty_list,
    "Analyze by CLI type": prints_an_empty_list,
    "Analyze by agent": prints_an_empty_list,
    "Check environment health": examines_the_environment,
    "Check circuit breaker status": shows_closed_breakers,
    "Check broker logs": finds_no_errors,
    "Disable headless for specific CLI": disables,
    "Verify fallback enabled": shows_it_disabled,
    "Monitor if availability improves": watches_nothing,
    "Identify affected agents": prints_an_empty_list,
    "Reset agent sessions": ends_no_session,
    "Verify availability back above 99%": prints_null,
    "Document incident": documents,
    "Re-enable headless if fallback was used": enables,
}
OUTAGE: Mapping[str, Callable[[Shell, str], None]] = {
    "Check current availability": shows_the_breach,
    "View recent failures": lists_the_failures,
    "Analyze by CLI type": blames_the_cli_type,
    "Analyze by agent": blames_the_agent,
    "Check environment health": examines_the_environment,
    "Check circuit breaker status": shows_counted_failures,
    "Check broker logs": finds_the_errors,
    "Disable headless for specific CLI": disables,
    "Verify fallback enabled": shows_it_disabled,
    "Monitor if availability improves": watches_the_availability,
    "Identify affected agents": blames_the_agent,
    "Reset agent sessions": ends_the_sessions,
    "Verify availability back above 99%": prints_the_recovered_figure,
    "Document incident": documents,
    "Re-enable headless if fallback was used": enables,
}
