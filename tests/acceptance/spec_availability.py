"""What each command of the section on availability shall come to, in a quiet broker and in an outage."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime

from tests.acceptance.spec_shell import Check, Shell, commands

COMMANDS = commands("Availability SLO Breach (P1)")
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


def shows_no_data(shell: Shell, command: str) -> None:
    """No data is said as such and is no breach."""
    found = shell.json(command)
    assert (found["current"], found["target"], found["breached"]) == (None, 0.995, False)
    assert (found["errorBudgetRemaining"], found["state"]) == (None, "no_data")


def shows_the_breach(shell: Shell, command: str) -> None:
    """Two of four failed: under target, and of the 30 days' budget nothing is left."""
    found = shell.json(command)
    assert (found["current"], found["target"], found["breached"]) == (0.5, 0.995, True)
    assert found["errorBudgetRemaining"] == 0
    assert found["alertState"] == "firing"


def prints_an_empty_list(shell: Shell, command: str) -> None:
    """An array, of nothing."""
    assert shell.json(command) == []


def lists_the_failures(shell: Shell, command: str) -> None:
    """The failed executions, each with who, on what and why."""
    found = shell.json(command)
    assert [(event["type"], event["agentId"], event["cliType"], event["kind"]) for event in found] == [
        ("EXECUTION_FAILED", "writer", "claude-code", "auth")
    ] * 2
    assert all("401" in event["message"] for event in found)


def blames_the_cli_type(shell: Shell, command: str) -> None:
    """The failing CLI type stands first, beside the healthy ones."""
    worst, *others = shell.json(command)
    assert (worst["cliType"], worst["failures"], worst["total"]) == ("claude-code", 2, 2)
    assert (worst["failureRate"], worst["kinds"]) == (1.0, {"auth": 2})
    assert "401" in worst["lastError"]
    assert {(one["cliType"], one["failures"]) for one in others} == {("codex", 0), ("gemini", 0)}


def blames_the_agent(shell: Shell, command: str) -> None:
    """An array with an agentId in each element, the failing agent first."""
    found = shell.json(command)
    assert found[0]["agentId"] == "writer"
    assert (found[0]["failures"], found[0]["failureRate"]) == (2, 1.0)
    assert {one["agentId"] for one in found} == {"writer", "reviewer", "tester"}


def examines_the_environment(shell: Shell, command: str) -> None:
    """Every CLI type that agents use is looked at; the scripted ones are well."""
    found = shell.json(command)
    assert found["overall"] == "healthy"
    assert [one["cliType"] for one in found["results"]] == ["claude-code", "codex", "gemini"]
    assert all(one["passed"] and one["checks"] for one in found["results"])


def shows_closed_breakers(shell: Shell, command: str) -> None:
    """Every agent has a breaker, and none has counted anything."""
    found = {one["agentId"]: one for one in shell.json(command)["circuits"]}
    assert set(found) == {"writer", "reviewer", "tester"}
    assert {(one["state"], one["failures"]) for one in found.values()} == {("closed", 0)}


def shows_counted_failures(shell: Shell, command: str) -> None:
    """The writer's breaker has counted what failed, the others nothing."""
    counted = {one["agentId"]: one["failures"] for one in shell.json(command)["circuits"]}
    assert counted == {"writer": 2, "reviewer": 0, "tester": 0}


def finds_no_errors(shell: Shell, command: str) -> None:
    """The log is there and has no line of that level; grep says so with 1."""
    ran = shell.run(command)
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", "")


def finds_the_errors(shell: Shell, command: str) -> None:
    """Each failed execution has its line."""
    ran = shell.run(command)
    lines = [line for line in ran.stdout.splitlines() if "agent='writer'" in line and "kind='auth'" in line]
    assert (ran.returncode, len(lines)) == (0, 2), ran.stdout


def disables(shell: Shell, command: str) -> None:
    """Headless claude-code is out of use, with the reason that was given."""
    (off,) = shell.json(command)["disabledCLIs"]
    assert (off["cli"], off["disabled"]) == ("claude-code", True)


def shows_it_disabled(shell: Shell, command: str) -> None:
    """What is disabled, why, and since when."""
    (off,) = shell.json(command)["disabledCLIs"]
    assert (off["cli"], off["disabled"], off["reason"]) == (
        "claude-code",
        True,
        "P1: Availability SLO breach",
    )
    assert datetime.fromisoformat(off["since"]).tzinfo is not None


def watches_nothing(shell: Shell, command: str) -> None:
    """A screen that shows that there is no figure yet."""
    assert "null" in shell.watched(command, re.compile(r"\bnull\b"))


def watches_the_availability(shell: Shell, command: str) -> None:
    """A screen that shows the figure and goes on showing it."""
    assert "Every 5.0s" in shell.watched(command, re.compile(r"\b0\.5\b"))


def ends_no_session(shell: Shell, command: str) -> None:
    """Nobody failed, nobody is reset."""
    _write_failures(shell)
    ran = shell.run(command)
    assert (ran.returncode, ran.stdout) == (0, "")


def ends_the_sessions(shell: Shell, command: str) -> None:
    """Each listed agent's session is ended; the next execution starts a fresh one."""
    _write_failures(shell)
    ran = shell.run(command)
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


def prints_null(shell: Shell, command: str) -> None:
    """No figure without executions."""
    assert shell.json(command) is None


def prints_the_recovered_figure(shell: Shell, command: str) -> None:
    """Executions that succeed bring the figure up, exactly."""
    for _ in range(4):
        assert shell.broker.execute("reviewer").status_code == 200
    assert shell.json(command) == 6 / 8


def documents(shell: Shell, command: str) -> None:
    """The folder for it is there, and the line stands in the day's file."""
    ran = shell.run(command)
    assert (ran.returncode, ran.stderr) == (0, "")
    (file,) = (shell.folder / "incidents").glob("availability-*.md")
    assert file.read_text().startswith("Availability breach resolved at ")


def enables(shell: Shell, command: str) -> None:
    """Headless claude-code is in use again, and the writer's next execution runs on it."""
    assert shell.json(command)["disabledCLIs"] == []
    answer = shell.broker.execute("writer")
    assert (answer.status_code, answer.json()["metadata"]["cliType"]) == (200, "claude-code")


QUIET: Mapping[str, Check] = {
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
OUTAGE: Mapping[str, Check] = {
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
