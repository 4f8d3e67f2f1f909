"""What the doctor finds, and what to do about it."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from kokino.agents.drivers.registry import DRIVERS
from kokino.agents.environment import environment_of
from kokino.agents.model import Agent, CliType, Mode
from kokino.doctor.diagnose import (
    check_binary,
    check_environment,
    check_folders,
    diagnose,
    diagnose_all,
    installing,
)
from kokino.doctor.disk import Disk, check_disks, look_at_disk, look_at_disks
from kokino.doctor.setting import settings_of
from kokino.errors import NotFound

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def cli(*command: str, **env: str) -> CliType:
    """A CLI type with that command."""
    return CliType(name="codex", driver="scripted", command=command, env=env)


def agent(agent_id: str, cwd: Path, cli_type: str = "codex") -> Agent:
    """An agent that works there."""
    return Agent(agent_id=agent_id, cli_type=cli_type, cwd=cwd, account="x", registered_at=NOW)


def program(folder: Path, name: str = "tool") -> Path:
    """A program in a folder."""
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_program_is_found_where_its_agents_would_find_it(tmp_path: Path) -> None:
    """On the CLI type's own PATH, which goes before the broker's."""
    path = program(tmp_path)
    assert check_binary(cli("tool"), {"PATH": str(tmp_path)}).message == f"found {path}"
    for own, inherited in (tmp_path, "/nowhere"), ("/nowhere", tmp_path):
        cli_type = cli("tool", PATH=str(own))
        check = check_binary(cli_type, environment_of({"PATH": str(inherited)}, cli_type))
        assert check.passed is (own == tmp_path)


def test_a_missing_program_is_told_with_the_setting_that_would_help() -> None:
    """So that nobody has to look it up."""
    check = check_binary(cli("tool"), {"PATH": "/nowhere"})
    assert (check.name, check.passed) == ("binary", False)
    assert check.message == (
        "'tool' is not on PATH: install it, or set cli_types.codex.command to where it is"
    )


def test_a_path_that_the_cli_type_sets_itself_is_named() -> None:
    """The program may be on everybody else's: installing it again would not help."""
    check = check_binary(cli("tool", PATH="/nowhere"), {"PATH": "/nowhere"})
    assert check.message.startswith(
        "'tool' is not on the PATH that cli_types.codex.env sets, /nowhere: mend that"
    )
    assert check.mend is None


def test_agents_that_are_worked_in_tmux_need_one(tmp_path: Path) -> None:
    """All their executions would be refused; the others of the CLI type do not care."""
    typed = replace(agent("writer", tmp_path), mode=Mode.TMUX)
    cli_type = replace(cli("tool"), no_terminal="there is no tmux on PATH")
    inherited = {"HOME": str(tmp_path)}
    [both] = settings_of(cli_type, [agent("reviewer", tmp_path), typed], inherited, tmp_path)
    found = check_environment(both)
    assert (found.passed, found.message) == (
        False,
        "agents that are worked in tmux cannot run (writer): there is no tmux on PATH",
    )
    [other] = settings_of(cli_type, [agent("reviewer", tmp_path)], inherited, tmp_path)
    assert check_environment(other).passed
    [well] = settings_of(cli("tool"), [typed], inherited, tmp_path)
    assert check_environment(well).passed


def test_a_file_that_cannot_be_run_is_no_program(tmp_path: Path) -> None:
    """Though it is there."""
    path = program(tmp_path)
    path.chmod(0o644)
    assert not check_binary(cli("tool"), {"PATH": str(tmp_path)}).passed
    check = check_binary(cli(str(path)), {})
    assert f"'{path}' may not be run" in check.message
    assert check.mend == f"chmod +x {path}"


def test_a_program_that_is_named_with_its_folder_is_not_looked_for_on_path(tmp_path: Path) -> None:
    """So what is said of it does not speak of PATH."""
    program(tmp_path)
    where = {"PATH": str(tmp_path)}
    assert check_binary(cli("/no/such/tool"), where).message == (
        "'/no/such/tool' does not exist: install it there, or set cli_types.codex.command to where it is"
    )
    assert f"'{tmp_path}' is no file" in check_binary(cli(str(tmp_path)), where).message


def test_every_missing_folder_is_named_with_its_agent(tmp_path: Path) -> None:
    """A file is no folder either."""
    file = program(tmp_path)
    check = check_folders([agent("a", tmp_path), agent("b", tmp_path / "gone"), agent("c", file)])
    assert not check.passed
    assert f"b: {tmp_path / 'gone'} is no folder" in check.message
    assert f"c: {file} is no folder" in check.message
    assert "a:" not in check.message


def test_what_is_missing_comes_with_the_command_that_makes_it(tmp_path: Path) -> None:
    """For programs that we know how to install, and folders that are not there; a file is somebody's."""
    gone = tmp_path / "my shop"
    codex = CliType(name="my-codex", driver="codex", command=("codex",))
    assert check_binary(codex, {"PATH": "/nowhere"}).mend == "npm install -g @openai/codex"
    assert check_binary(cli("tool"), {"PATH": "/nowhere"}).mend is None
    assert check_folders([agent("a", gone), agent("b", tmp_path)]).mend == f"mkdir -p '{gone}'"
    assert check_folders([agent("a", program(tmp_path))]).mend is None


def test_every_driver_s_own_program_can_be_installed() -> None:
    """But the scripted one's, which comes with Kokino."""
    own = {name: driver.default_command[0] for name, driver in DRIVERS.items() if driver.default_command}
    unknown = [name for name, program in own.items() if installing(DRIVERS[name], program) is None]
    assert (unknown, own["scripted"]) == (["scripted"], sys.executable)


def test_all_cli_types_that_agents_use_are_looked_at(tmp_path: Path) -> None:
    """Or the one that is asked for; a name that is none is told with those that are."""
    types = {"codex": cli("tool"), "idle": cli("tool")}
    look = partial(diagnose_all, types, [agent("a", tmp_path)], {}, tmp_path, now=NOW)
    assert [found.cli_type for found in look(cli=None)] == ["codex"]
    assert len(look(cli="idle")) == 1
    with pytest.raises(NotFound, match="no CLI type 'cdex'; known: codex, idle"):
        look(cli="cdex")


def test_no_agents_need_no_folders() -> None:
    """A CLI type without agents is well."""
    assert check_folders([]).passed


def disk(used: float, name: str = "/srv") -> Disk:
    """A file system so full."""
    return Disk(path=Path(name), device=1, used=used, free_bytes=5_000_000_000)


def test_a_disk_fails_at_95_percent() -> None:
    """85 % is warned of and 95 % fails; only the full one is named."""
    assert check_disks([disk(0.949)]).passed
    check = check_disks([disk(0.5, "/home"), disk(0.95)])
    assert not check.passed
    assert check.message == "/srv is 95% full, 5.0 GB free; free some space"


@pytest.mark.parametrize(("used", "passed"), [(0.951, False), (0.94, False), (0.939, True)])
def test_a_disk_that_was_full_is_well_under_94_percent(used: float, passed: bool) -> None:
    """One that hovers about the bound would raise and resolve the alert every few minutes."""
    assert check_disks([disk(used)], was_full=True).passed is passed


def test_a_real_disk_can_be_looked_at(tmp_path: Path) -> None:
    """And one that is not there has nothing to say."""
    found = look_at_disk(tmp_path)
    assert found is not None
    assert 0 <= found.used <= 1
    assert look_at_disk(tmp_path / "gone") is None


def test_each_file_system_is_told_once(tmp_path: Path) -> None:
    """By the first folder on it, however many agents work there; another one has its own words."""
    (tmp_path / "repo").mkdir()
    agents = [agent("a", tmp_path / "repo"), agent("b", tmp_path)]
    check = diagnose(cli("tool"), agents, {"HOME": str(tmp_path)}, tmp_path, now=NOW).checks[-1]
    assert f"{tmp_path} is " in check.message
    assert "repo" not in check.message
    assert [found.path for found in look_at_disks([tmp_path, tmp_path / "repo", Path("/proc")])] == [
        tmp_path,
        Path("/proc"),
    ]


def test_a_diagnosis_is_passed_when_every_check_is(tmp_path: Path) -> None:
    """Other CLI types' agents are none of its business."""
    program(tmp_path)
    agents = [agent("a", tmp_path), agent("b", tmp_path / "gone", "other")]
    found = diagnose(cli("tool"), agents, {"PATH": str(tmp_path), "HOME": str(tmp_path)}, tmp_path, now=NOW)
    assert [check.name for check in found.checks] == ["binary", "environment", "auth", "disk"]
    assert [check.passed for check in found.checks][:3] == [True, True, True]
    assert (found.cli_type, found.checked_at) == ("codex", NOW)
    ill = diagnose(cli("gone"), agents, {"PATH": str(tmp_path)}, tmp_path, now=NOW)
    assert not ill.passed
