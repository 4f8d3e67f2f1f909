"""Is the program there, and what brings it or makes it newer?"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kokino.agents.drivers.registry import DRIVERS
from kokino.agents.environment import environment_of
from kokino.agents.model import CliType
from kokino.doctor.program import check_binary, check_version, installing


def cli(*command: str, **env: str) -> CliType:
    """A CLI type with that command."""
    return CliType(name="codex", driver="scripted", command=command, env=env)


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
    assert "x' cannot be reached" in check_binary(cli("/" + "x" * 300), where).message


def test_a_missing_program_comes_with_the_command_that_installs_it() -> None:
    """Where it is one that we know how to install."""
    codex = CliType(name="my-codex", driver="codex", command=("codex",))
    assert check_binary(codex, {"PATH": "/nowhere"}).mend == "npm install -g @openai/codex"
    assert check_binary(cli("tool"), {"PATH": "/nowhere"}).mend is None


def test_every_driver_s_own_program_can_be_installed() -> None:
    """But the scripted one's, which comes with Kokino."""
    own = {name: driver.default_command[0] for name, driver in DRIVERS.items() if driver.default_command}
    unknown = [name for name, program in own.items() if installing(DRIVERS[name], program) is None]
    assert (unknown, own["scripted"]) == (["scripted"], sys.executable)


@pytest.mark.parametrize(
    ("version", "passed"),
    [
        ("0.169.0", True),
        ("0.170.0", True),
        ("1.0", True),
        ("0.168.9", False),
        ("0.99.0", False),
        ("0.169.0-beta", True),
    ],
)
def test_an_old_version_is_warned_of(version: str, passed: bool) -> None:
    """It may work: nothing is refused, but an update is advised."""
    check = check_version(DRIVERS["codex"], Path("/usr/bin/codex"), version)
    assert check is not None
    assert (check.passed, check.is_well) == (passed, True)


def test_what_npm_has_installed_is_updated_where_it_is(tmp_path: Path) -> None:
    """A newer one in another place would not be the one that is started."""
    package = tmp_path / "my node" / "lib" / "node_modules" / "@openai" / "codex" / "bin"
    package.mkdir(parents=True)
    by_npm, by_hand = tmp_path / "codex", program(tmp_path, "other")
    by_npm.symlink_to(program(package))
    mends = [check_version(DRIVERS["codex"], path, "0.1").mend for path in (by_npm, by_hand)]  # type: ignore[union-attr]
    assert mends == [f"npm install -g --prefix '{tmp_path}/my node' @openai/codex@latest", None]


def test_without_a_version_nothing_is_said() -> None:
    """Nor of a driver that comes with Kokino."""
    assert check_version(DRIVERS["codex"], Path("/codex"), None) is None
    assert check_version(DRIVERS["scripted"], Path("/python3"), "3.11") is None
