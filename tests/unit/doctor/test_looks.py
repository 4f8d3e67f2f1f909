"""Which CLI types are looked at, and by which checks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kokino.agents.model import Agent, CliType
from kokino.doctor.looks import chosen, diagnose
from kokino.doctor.model import Check
from kokino.errors import NotFound

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def agent(agent_id: str, cwd: Path, cli_type: str = "codex") -> Agent:
    """An agent that works there."""
    return Agent(agent_id=agent_id, cli_type=cli_type, cwd=cwd, account="x", registered_at=NOW)


def cli(*command: str) -> CliType:
    """A CLI type with that command."""
    return CliType(name="codex", driver="scripted", command=command)


def found(cli_type: CliType, agents: list[Agent], home: Path, **env: str) -> dict[str, Check]:
    """What each check finds, by its name."""
    diagnosis = diagnose(cli_type, agents, env, home, now=NOW)
    assert (diagnosis.cli_type, diagnosis.checked_at) == (cli_type.name, NOW)
    return {check.name: check for check in diagnosis.checks}


def test_all_cli_types_that_agents_use_are_looked_at(tmp_path: Path) -> None:
    """Or the one that is asked for; a name that is none is told with those that are."""
    types, agents = {"codex": cli("tool"), "idle": cli("tool")}, [agent("a", tmp_path)]
    assert chosen(types, agents, None) == ["codex"]
    assert chosen(types, agents, "idle") == ["idle"]
    with pytest.raises(NotFound, match="no CLI type 'cdex'; known: codex, idle"):
        chosen(types, agents, "cdex")


def test_the_disk_below_each_folder_is_looked_at_once(tmp_path: Path) -> None:
    """By the first folder on it, however many agents work there."""
    (tmp_path / "repo").mkdir()
    agents = [agent("a", tmp_path / "repo"), agent("b", tmp_path)]
    check = found(cli("tool"), agents, tmp_path, HOME=str(tmp_path))["disk"]
    assert f"{tmp_path} is " in check.message
    assert "repo" not in check.message


def test_the_agents_of_other_cli_types_are_none_of_its_business(tmp_path: Path) -> None:
    """All that its own need is there."""
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    agents = [agent("a", tmp_path), agent("b", tmp_path / "gone", "other")]
    checks = found(cli("tool"), agents, tmp_path, PATH=str(tmp_path), HOME=str(tmp_path))
    assert list(checks) == ["binary", "environment", "auth", "disk"]
    assert [check.passed for check in checks.values()][:3] == [True, True, True]
    assert not found(cli("gone"), agents, tmp_path, PATH=str(tmp_path))["binary"].passed
