"""The shipped playbooks of environments and of memory: their choices, over the answers of the broker."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kokino.playbooks.library import load_library
from kokino.playbooks.model import Effect, RunMode
from kokino.playbooks.patterns import Match, choose
from kokino.playbooks.verify import VerifyState, judge
from tests.unit.playbooks.documents import answered

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
ENVIRONMENT = load_library().get("environment-degraded")
RESOURCES = load_library().get("resource-efficiency")

Row = dict[str, object]


def diagnosis(*failed: str, optional: tuple[str, ...] = ()) -> Row:
    """What the doctor tells of a CLI type where these checks failed."""
    names = ("binary", "environment", "auth", "disk", "dryrun", "version")
    checks = [
        {"name": name, "passed": name not in failed, "isRequired": name not in optional} for name in names
    ]
    return {"cliType": "codex", "passed": not failed, "checks": checks}


@pytest.mark.parametrize(
    ("expected", "failed"),
    [
        ("binary", ("binary", "dryrun")),
        ("binary", ("binary", "disk", "environment", "auth", "dryrun")),
        ("disk", ("disk", "environment", "auth")),
        ("folders", ("environment", "auth", "dryrun")),
        ("login", ("auth", "dryrun")),
        ("dry-run", ("dryrun",)),
        (None, ()),
    ],
)
def test_the_check_that_explains_the_others_is_the_cause(
    expected: str | None, failed: tuple[str, ...]
) -> None:
    """With its own repair; where all is well again there is none."""
    match = choose(ENVIRONMENT, answered(diagnosis=diagnosis(*failed)))
    assert (match.pattern and match.pattern.id) == expected, match


def test_what_is_not_needed_is_no_cause() -> None:
    """OpenCode without a login, an old version."""
    found = diagnosis("auth", "version", optional=("auth", "version"))
    assert choose(ENVIRONMENT, answered(diagnosis=found)).pattern is None


def tree(agent: str, growth: str, slope: float | None, memory: float = 900) -> Row:
    """A row of ``/agents/processes/status``."""
    return {"agentId": agent, "growth": growth, "growthMBPerMinute": slope, "memoryMB": memory}


def of_memory(processes: list[Row], turns: int = 3, broker: float = 150) -> Match:
    """The choice over these answers."""
    sessions = [{"agentId": "a", "turns": turns}]
    return choose(RESOURCES, answered(processes=processes, sessions=sessions, broker={"memoryMB": broker}))


LEAKS = [tree("a", "growing", 12), tree("b", "growing", 80), tree("c", "steady", 200)]


@pytest.mark.parametrize(
    ("expected", "match"),
    [
        ("leak", of_memory(LEAKS)),
        ("broker-grows", of_memory(LEAKS, broker=1500)),
        ("long-conversations", of_memory([tree("a", "steady", 1)], turns=300)),
        ("leak", of_memory(LEAKS, turns=300)),
        ("big-jobs", of_memory([tree("a", "steady", 1), tree("b", "unknown", None)])),
        ("big-jobs", of_memory([])),
    ],
)
def test_a_leak_a_long_conversation_and_a_big_job_are_told_apart(expected: str, match: Match) -> None:
    """The broker itself before all others."""
    assert (match.pattern and match.pattern.id) == expected, match


def test_the_one_that_grows_fastest_is_cancelled_and_only_with_an_approval() -> None:
    """What may lose work is nobody's to do alone."""
    match = of_memory(LEAKS)
    assert match.inputs == {"AGENT_ID": "b"}
    for playbook in (ENVIRONMENT, RESOURCES):
        dangerous = [step for step in playbook.steps if step.effect is Effect.DANGEROUS]
        assert dangerous
        assert all(step.run is not RunMode.AUTO for step in dangerous)
        unlimited = [
            step.id for step in playbook.steps if step.run is RunMode.AUTO and step.effect is Effect.WRITE
        ]
        assert all(playbook.step(step).limit for step in unlimited)
    assert RESOURCES.step("cancel-growing").run is RunMode.APPROVAL


def test_every_row_of_the_environment_but_the_full_disk_is_drilled() -> None:
    """That one is filled by a test; a drill cannot."""
    rows = {pattern.id for pattern in ENVIRONMENT.patterns}
    assert {drill.pattern for drill in ENVIRONMENT.drills} == rows - {"disk"}
    assert {drill.pattern for drill in RESOURCES.drills} == {"leak"}


@pytest.mark.parametrize(
    ("look", "alert", "state"),
    [
        ({"passed": True, "successes": 6}, "resolved", VerifyState.VERIFIED),
        ({"passed": True, "successes": 6}, "firing", VerifyState.WAITING),
        ({"passed": False, "successes": 5}, "resolved", VerifyState.WAITING),
        ({"passed": True, "successes": 0}, "resolved", VerifyState.WAITING),
    ],
)
def test_a_repair_counts_when_the_doctor_saw_it_and_the_alert_is_over(
    look: Row, alert: str, state: VerifyState
) -> None:
    """Checks that passed, not checks that are missing."""
    found = answered(look=look, alert={"state": alert})
    window = ENVIRONMENT.verify.window
    assert judge(ENVIRONMENT.verify, found, acted_at=NOW - window, now=NOW).state is state


def test_what_was_not_tried_is_no_success(tmp_path: Path) -> None:
    """Of a CLI that was not started nobody knows that it works."""
    shown = diagnosis("version", optional=("version", "dryrun"))
    for check in shown["checks"]:  # type: ignore[attr-defined]
        check["isTried"] = check["name"] not in {"auth", "dryrun"}
    curl = tmp_path / "curl"
    curl.write_text(f"#!/bin/sh\nprintf '%s' '{json.dumps(shown)}'\n")
    curl.chmod(0o755)
    said = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", ENVIRONMENT.step("look").script],
        env={"PATH": f"{tmp_path}:{os.defpath}", "KOKINO_URL": "x", "KOKINO_HEADERS": "x", "CLI_TYPE": "x"},
        capture_output=True,
        check=True,
    )
    assert json.loads(said.stdout)["successes"] == 3


def test_the_broker_s_memory_is_read_out_of_its_metrics(tmp_path: Path) -> None:
    """The step is bash: it is run here with a curl that answers as the broker does."""
    curl = tmp_path / "curl"
    curl.write_text("#!/bin/sh\nprintf '# HELP x y\\nprocess_resident_memory_bytes 1.5e+09\\nother 1\\n'\n")
    curl.chmod(0o755)
    said = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", RESOURCES.step("broker").script],
        env={"PATH": f"{tmp_path}:{os.defpath}", "KOKINO_URL": "x", "KOKINO_HEADERS": "x"},
        capture_output=True,
        check=True,
    )
    assert json.loads(said.stdout) == {"memoryMB": 1500}
