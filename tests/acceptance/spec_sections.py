"""What each command of the other sections shall come to, while the writer hangs and the others are well."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.acceptance.serving import until
from tests.acceptance.spec_shell import Check, Shell, commands


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section: its commands, those that are not run, and what the others shall come to."""

    heading: str
    checks: Mapping[str, Check]
    #: Whole commands that are not run as they stand, and why: by their titles.
    exceptions: Mapping[str, tuple[str, str]]

    @property
    def commands(self) -> dict[str, str]:
        """As the specification has them; what stands in braces is for a person to fill in."""
        return {title: filled(command) for title, command in commands(self.heading).items()}


#: Who hangs.
AGENT = "writer"


def filled(command: str) -> str:
    """With the names that a person puts in."""
    return (
        command.replace("{slowAgent}", AGENT)
        .replace("{agentId}", AGENT)
        .replace("{agentType}", "claude-code")
    )


def shows_the_p95(shell: Shell, command: str) -> None:
    """A sample with its figure in milliseconds."""
    ran = shell.run(command)
    assert ran.returncode == 0
    assert re.search(r"^headless_latency_p95_ms\S* \d", ran.stdout, re.MULTILINE), ran.stdout


def lists_latencies(shell: Shell, command: str) -> None:
    """Those that have ended something, the slowest first."""
    found = shell.json(command)
    assert {one["agentId"] for one in found} == {"reviewer", "tester"}
    assert [one["p95Ms"] for one in found] == sorted((one["p95Ms"] for one in found), reverse=True)


def shows_who_is_locked(shell: Shell, command: str) -> None:
    """The one that hangs, and nobody else."""
    found = shell.json(command)
    assert (found["agentId"], found["executing"]) == (AGENT, True)


def shows_its_session(shell: Shell, command: str) -> None:
    """That of the agent, locked or not."""
    assert shell.json(command)["agentId"] == AGENT


def cancels(shell: Shell, command: str) -> None:
    """What hangs is over; doing it again does no harm."""
    for _ in range(2):
        ran = shell.run(command)
        assert (ran.returncode, json.loads(ran.stdout)["agentId"]) == (0, AGENT), ran.stdout
    until(lambda: not any(one["locked"] for one in shell.broker.get("/agents/sessions/status")))


def ends_its_session(shell: Shell, command: str) -> None:
    """Its next execution begins afresh."""
    ran = shell.run(command)
    assert json.loads(ran.stdout)["status"] == "ended"


def examines_one(shell: Shell, command: str) -> None:
    """One CLI type with its checks."""
    found = shell.json(command)
    assert (found["cliType"], found["passed"]) == ("claude-code", True)
    assert {"name", "passed", "message"} <= found["checks"][0].keys()


def examines_all(shell: Shell, command: str) -> None:
    """Every CLI type."""
    assert shell.json(command)["overall"] == "healthy"


def shows_shadow_metrics(shell: Shell, command: str) -> None:
    """Totals and rates, of nothing yet."""
    found = shell.json(command)
    assert (found["totals"]["comparisons"], found["rates"]["match"]) == (0, None)
    assert found["summary"] == "Nothing was compared in the last day."


def shows_mismatches(shell: Shell, command: str) -> None:
    """A page, of nothing."""
    assert shell.json(command) == {"items": [], "nextCursor": None}


def shows_memory(shell: Shell, command: str) -> None:
    """The tree of the agent that hangs."""
    [one] = shell.json(command)
    assert (one["agentId"], one["processes"] >= 1) == (AGENT, True)
    assert one["memoryMB"] > 0


def finds_processes(shell: Shell, command: str) -> None:
    """The agent's process is among them by its CLI type's name, unless ten others take more."""
    ran = shell.run(command)
    assert ran.returncode == 0
    assert len(ran.stdout.splitlines()) == 10 or _hanging(shell) in ran.stdout, ran.stdout


def finds_its_process(shell: Shell, command: str) -> None:
    """The agent's process bears its CLI type and id where `ps` sees them."""
    assert _hanging(shell) in shell.run(command).stdout


def _hanging(shell: Shell) -> str:
    """What hangs. `ps` shows other brokers' processes too, so only by this name it is ours."""
    rows = shell.broker.get("/agents/sessions/status")
    [execution] = [one["executionId"] for one in rows if one["executing"]]
    return str(execution)


def watches_memory(shell: Shell, command: str) -> None:
    """A screen that shows each agent's memory and goes on showing it."""
    assert "Every 10.0s" in shell.watched(command, re.compile(r'"memoryMB": \d'))


def diagnoses(shell: Shell, command: str) -> None:
    """It looks at everything, finds nothing wrong and says so."""
    ran = shell.run(command)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "claude-code" in ran.stdout


def shows_breakers(shell: Shell, command: str) -> None:
    """Closed, all of them."""
    assert {one["state"] for one in shell.json(command)["circuits"]} == {"closed"}


def shows_its_log(shell: Shell, command: str) -> None:
    """The last lines that its CLI wrote."""
    found = shell.json(command)
    assert found["agentId"] == AGENT
    assert found["lines"]


def resets_its_breaker(shell: Shell, command: str) -> None:
    """It is closed, as it was."""
    assert json.loads(shell.run(command).stdout)["status"] == "closed"


SECTIONS = (
    Section(
        heading="Circuit Breaker Opened (P2)",
        checks={
            "1. Check circuit status": shows_breakers,
            "2. View recent failures for agent": shows_its_log,
            "Wait for auto-reset (60s) or manual reset:": resets_its_breaker,
        },
        exceptions={},
    ),
    Section(
        heading="Correctness SLO Breach (P2)",
        checks={
            "1. View shadow metrics": shows_shadow_metrics,
            "2. Get recent mismatches": shows_mismatches,
            "If genuine divergence:": examines_all,
        },
        exceptions={},
    ),
    Section(
        heading="Environment Degraded (P2)",
        checks={"Run environment diagnostics": diagnoses, "Check specific CLI": examines_one},
        exceptions={},
    ),
    Section(
        heading="Resource Efficiency Alert (P2)",
        checks={
            "1. Check current memory usage": shows_memory,
            "2. Identify memory hogs": finds_processes,
            "3. Check for memory leaks": watches_memory,
        },
        exceptions={
            "If leak detected: restart broker": (
                "Kokino is no program of node's: `kokino restart` puts another broker in its place",
                'pkill -f "node.*broker"\nnpm run dev --workspace=broker',
            ),
            "If large conversations: cleanup old data": (
                "Kokino's script is `scripts/cleanup-sessions --max-age 7d`",
                "node scripts/cleanup-sessions.js --max-age 7d",
            ),
        },
    ),
    Section(
        heading="Latency SLO Breach (P2)",
        checks={
            "1. Check current P95 latency": shows_the_p95,
            "2. Identify slow agents": lists_latencies,
            "3. Check lock contention": shows_who_is_locked,
            "If lock contention: cancel hung executions": cancels,
            "If specific agent slow: investigate agent environment": examines_one,
        },
        exceptions={
            "4. Check Claude API status": (
                "it asks a vendor's page; an agent that fails with its API tells the same",
                "curl https://status.anthropic.com/api/v2/status.json",
            ),
        },
    ),
    Section(
        heading="Lock Timeout (P3)",
        checks={
            "1. Check session status": shows_its_session,
            "2. View agent logs": shows_its_log,
            "3. Check if execution hung": finds_its_process,
            "Cancel execution": cancels,
            "If still stuck, end session": ends_its_session,
        },
        exceptions={},
    ),
)
#: What Kokino has in the place of a command that names another system's programs.
INSTEAD: Mapping[str, str] = {
    "If leak detected: restart broker": "kokino restart",
    "If large conversations: cleanup old data": "scripts/cleanup-sessions --max-age 7d",
}
