"""Agents that are started alike are looked at once, and told of together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kokino.agents.model import Agent, CliType
from kokino.doctor.diagnose import check_environment
from kokino.doctor.machine import PROGRAMS, look_at_machine
from kokino.doctor.model import Check
from kokino.doctor.patience import Threads
from kokino.doctor.setting import Setting, settings_of, together

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
CODEX = CliType(name="codex", driver="codex", command=("codex",), env={"B": "type", "C": "type"})
INHERITED = {"A": "broker", "B": "broker"}


def agent(agent_id: str, cli_type: str = "codex", cwd: str = "/", **env: str) -> Agent:
    """An agent with variables of its own."""
    return Agent(agent_id=agent_id, cli_type=cli_type, cwd=Path(cwd), account="x", env=env, registered_at=NOW)


def settings(*agents: Agent, inherited: Mapping[str, str] = INHERITED) -> list[Setting]:
    """In what they are started."""
    return settings_of(CODEX, agents, inherited, Path("/broker"))


def test_each_environment_stands_for_all_who_share_it() -> None:
    """An agent's own variables go before its CLI type's, and those before the broker's."""
    found = settings(agent("a"), agent("b", C="own"), agent("c"), agent("d", "gemini"))
    assert [(one.names, dict(one.env)) for one in found] == [
        ("a, c", {"A": "broker", "B": "type", "C": "type"}),
        ("b", {"A": "broker", "B": "type", "C": "own"}),
    ]


def test_an_agent_that_repeats_what_it_inherits_is_started_like_the_others() -> None:
    """Two looks at the same environment would be the same errand, and the second could not be started."""
    [found] = settings(agent("a"), agent("b", A="broker"), agent("c", B="type"))
    assert found.names == "a, b, c"


def test_a_cli_type_without_agents_has_one_setting_all_the_same() -> None:
    """In the broker's home."""
    [found] = settings(agent("d", "gemini"))
    assert (found.agents, found.cwd) == ((), Path("/broker"))


def test_checks_of_several_settings_are_told_as_one() -> None:
    """Whom a failure concerns is named, unless it concerns all alike."""
    one, two = settings(agent("a"), agent("b", C="own"))
    good = Check(name="auth", passed=True, message="by A")
    bad = Check(name="auth", passed=False, message="nobody", mend="log in", warnings=("w",))
    mixed = together([(one, good), (two, bad)])
    assert (mixed.passed, mixed.message, mixed.mend, mixed.warnings) == (False, "b: nobody", "log in", ("w",))
    assert together([(one, bad), (two, bad)]).message == "nobody"
    assert together([(one, good), (two, replace(good, message="by B"))]).message == "a: by A; b: by B"
    optional = replace(bad, message="old", is_required=False)
    assert together([(one, optional), (two, bad)]).is_required


def test_a_home_that_is_not_there_is_told(tmp_path: Path) -> None:
    """CLIs keep their sessions in it."""
    [gone] = settings(agent("a", HOME=str(tmp_path / "gone")))
    found = check_environment(gone)
    assert (found.passed, found.mend) == (False, f"mkdir -p {tmp_path / 'gone'}")
    [there] = settings(agent("a", HOME=str(tmp_path)))
    assert check_environment(there).passed


def test_a_variable_without_which_a_cli_refuses_folders_is_warned_of(tmp_path: Path) -> None:
    """Unless a flag says the same."""
    gemini = CliType(name="gemini", driver="gemini", command=("gemini",))

    def warned(cli_type: CliType, **env: str) -> tuple[str, ...]:
        agents = [agent("a", "gemini", HOME=str(tmp_path), **env)]
        [setting] = settings_of(cli_type, agents, {}, tmp_path)
        return check_environment(setting).warnings

    assert "a: GEMINI_CLI_TRUST_WORKSPACE is not set; it exits with 55" in warned(gemini)[0]
    assert warned(gemini, GEMINI_CLI_TRUST_WORKSPACE="true") == ()
    assert warned(replace(gemini, flags=("--skip-trust",))) == ()


async def test_a_look_that_hangs_is_left_to_itself_and_not_doubled() -> None:
    """Once the disk answers again, so does it."""
    threads, answers = Threads(), threading.Event()
    good, begun = Check(name="disk", passed=True, message="room"), []

    def hangs() -> Check:
        begun.append(1)
        answers.wait()
        return good

    for _ in range(2):
        with pytest.raises(TimeoutError):
            await threads.run("codex disk", hangs, 0.01)
    assert begun == [1]
    answers.set()
    async with asyncio.timeout(60):
        assert await threads.run("codex disk", hangs, 60) is good

    def breaks() -> Check:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await threads.run("codex binary", breaks, 60)


def test_programs_that_are_missing_cost_a_warning(tmp_path: Path) -> None:
    """With what does not work without them; prompts run all the same."""
    tool = tmp_path / "jq"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    found = {check.name: check for check in look_at_machine({"PATH": str(tmp_path)}, "tree walk")}
    assert list(found) == ["tier", *PROGRAMS]
    assert [name for name, check in found.items() if not check.passed] == ["bash", "curl", "tmux"]
    assert all(check.is_well for check in found.values())
    assert found["tmux"].message == "tmux is not on PATH: no agent can run in tmux"
    assert "no control groups" in found["tier"].message
    assert "have control groups" in look_at_machine({}, "cgroup")[0].message
