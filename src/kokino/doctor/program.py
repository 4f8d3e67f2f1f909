"""Is a CLI's program there, and what brings it or makes it newer?"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from kokino.agents.drivers.contract import Driver
from kokino.agents.drivers.registry import driver_named
from kokino.agents.model import CliType
from kokino.doctor.model import Check
from kokino.doctor.reach import is_missing


def check_binary(cli_type: CliType, env: Mapping[str, str]) -> Check:
    """Is the program there, on the PATH that its agents get?"""
    program = cli_type.command[0]
    found = program_of(cli_type, env)
    if found is not None:
        return Check(name="binary", passed=True, message=f"found {found}")
    setting = f"set cli_types.{cli_type.name}.command to where it is"
    if os.sep in program:
        return _missing_file(program, setting)
    if (own := cli_type.env.get("PATH")) is not None:
        # It may well be installed, and on everybody else's.
        where = f"the PATH that cli_types.{cli_type.name}.env sets, {own}"
        return Check(
            name="binary", passed=False, message=f"{program!r} is not on {where}: mend that, or {setting}"
        )
    return Check(
        name="binary",
        passed=False,
        message=f"{program!r} is not on PATH: install it, or {setting}",
        mend=installing(driver_named(cli_type.driver), program),
    )


def program_of(cli_type: CliType, env: Mapping[str, str]) -> Path | None:
    """The file that is started; None where there is none that may be run."""
    found = shutil.which(cli_type.command[0], path=env.get("PATH", os.defpath))
    return None if found is None else Path(found)


def check_version(driver: Driver, program: Path | None, version: str | None) -> Check | None:
    """Whether the CLI is at least as new as what its driver was tried with; None where nobody can tell."""
    oldest = driver.needs.oldest
    if oldest is None or version is None:
        return None
    if _numbers(version) >= _numbers(oldest):
        return Check(name="version", passed=True, message=f"{version}; {oldest} and later can be used")
    return Check(
        name="version",
        passed=False,
        message=f"{version} is older than {oldest}, the oldest that its driver was tried with: update it",
        is_required=False,
        mend=None if program is None else updating(driver, program),
    )


def installing(driver: Driver, program: str) -> str | None:
    """The command that installs a driver's own program; None for any other program."""
    is_its_own = driver.default_command[:1] == (program,) and driver.needs.package is not None
    return f"npm install -g {driver.needs.package}" if is_its_own else None


def updating(driver: Driver, program: Path) -> str | None:
    """The command that updates what npm has installed at `program`; None where it came in another way.

    A second copy, in another place, would not be the one that is started.
    """
    prefix, between, _ = str(program.resolve()).partition(f"/lib/node_modules/{driver.needs.package}/")
    if not between:
        return None
    return f"npm install -g --prefix {shlex.quote(prefix)} {driver.needs.package}@latest"


def _missing_file(program: str, setting: str) -> Check:
    """What is wrong with a program that is named with its folder: it is looked for there alone."""
    # Not by Path: that raises where a folder above it may not be entered.
    is_file = os.path.isfile(program)  # noqa: PTH113
    if is_file:
        message = f"{program!r} may not be run: make it executable, or {setting}"
    elif os.path.exists(program):  # noqa: PTH110
        message = f"{program!r} is no file: {setting}"
    elif is_missing(program):
        message = f"{program!r} does not exist: install it there, or {setting}"
    else:
        message = (
            f"{program!r} cannot be reached, a folder above it may not be entered: mend that, or {setting}"
        )
    mend = f"chmod +x {shlex.quote(program)}" if is_file else None
    return Check(name="binary", passed=False, message=message, mend=mend)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("-")[0]))
