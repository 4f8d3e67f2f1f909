"""The doctor tries CLIs out: real programs under a real warden."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kokino.agents.model import Agent, CliType
from kokino.doctor import disk
from kokino.doctor import examiner as examining
from kokino.doctor.examiner import Examiner
from kokino.doctor.model import Check, Diagnosis
from kokino.doctor.settings import DoctorSettings, DryRun
from kokino.executions.model import Execution
from tests.integration.doctor.examining import an_examiner

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.fixture
async def examiner(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Examiner]:
    """A doctor with a warden."""
    async with an_examiner(tmp_path_factory, timeout=timedelta(seconds=3)) as found:
        yield found


def codex(folder: Path, script: str) -> CliType:
    """A CLI type with that program."""
    program = folder / "codex"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return CliType(name="codex", driver="codex", command=(str(program),))


def agent(agent_id: str, cwd: Path, **env: str) -> Agent:
    """An agent of it."""
    return Agent(agent_id=agent_id, cli_type="codex", cwd=cwd, account="x", env=env, registered_at=NOW)


def of(diagnosis: Diagnosis, name: str) -> Check:
    """One of its checks."""
    [found] = [check for check in diagnosis.checks if check.name == name]
    return found


async def test_an_agent_that_repeats_what_it_inherits_is_no_second_trial(
    examiner: Examiner, tmp_path: Path
) -> None:
    """The CLI is well, and is told so for both."""
    tool = codex(tmp_path, "echo codex-cli 0.169.0")
    agents = [agent("a", tmp_path), agent("b", tmp_path, HOME=examiner.environment["HOME"])]
    found = of(await examiner.examine(tool, agents, NOW), "dryrun")
    assert found.passed, found.message


async def test_a_cli_that_is_late_once_is_tried_once_more(examiner: Examiner, tmp_path: Path) -> None:
    """On a busy machine any of them may be: nobody is paged for that."""
    tool = codex(tmp_path, 'if mkdir "$HOME/once"; then sleep 600; fi\necho codex-cli 0.169.0')
    found = of(await examiner.examine(tool, [agent("a", tmp_path)], NOW), "dryrun")
    assert (found.passed, (Path(examiner.environment["HOME"]) / "once").is_dir()) == (True, True), found


async def test_a_prompt_that_waits_for_its_turn_holds_up_no_diagnosis(
    examiner: Examiner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing of the CLI."""
    monkeypatch.setattr(examining, "TURN", 0.01)

    async def never(_cli_type: str) -> Execution:
        await asyncio.Event().wait()
        raise AssertionError

    asking = replace(examiner, settings=DoctorSettings(dry_run=DryRun.PROMPT), ask=never)
    tool = codex(tmp_path, "exit 1")
    found = of(await asking.examine(tool, [agent("a", tmp_path)], NOW), "dryrun")
    assert (found.is_well, found.is_tried) == (True, False)


async def test_a_disk_that_failed_is_judged_by_what_was_found_before(
    examiner: Examiner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two bounds it stays what it was."""
    half = disk.Disk(path=tmp_path, device=1, used=0.945, free_bytes=1)
    monkeypatch.setattr(disk, "look_at_disk", lambda _path: half)
    tool = codex(tmp_path, "echo codex-cli 0.169.0")
    full = Diagnosis(
        cli_type="codex", checks=(Check(name="disk", passed=False, message="full"),), checked_at=NOW
    )
    for before, passed in ((None, True), (full, False)):
        found = await examiner.examine(tool, [agent("a", tmp_path)], NOW, before)
        assert of(found, "disk").passed is passed
