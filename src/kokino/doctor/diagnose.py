"""Look at what a CLI type needs in order to run, without starting it."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from kokino.agents.drivers.contract import Driver
from kokino.agents.drivers.needs import home_of
from kokino.agents.drivers.registry import driver_named
from kokino.agents.model import Agent, CliType, Mode
from kokino.doctor.disk import check_disks, look_at_disks
from kokino.doctor.login import check_login, read_file
from kokino.doctor.model import Check, Diagnosis
from kokino.doctor.patience import Look
from kokino.doctor.setting import Setting, settings_of, together
from kokino.errors import NotFound


def diagnose_all(
    cli_types: Mapping[str, CliType],
    agents: Sequence[Agent],
    environment: Mapping[str, str],
    home: Path,
    *,
    cli: str | None,
    now: datetime,
) -> list[Diagnosis]:
    """Check the CLI type `cli`, or all that agents use. Raises `NotFound` for a name that is none."""
    wanted = chosen(cli_types, agents, cli)
    return [diagnose(cli_types[name], agents, environment, home, now=now) for name in wanted]


def chosen(cli_types: Mapping[str, CliType], agents: Iterable[Agent], cli: str | None) -> list[str]:
    """The CLI type `cli`, or all that agents use. Raises `NotFound` for a name that is none."""
    if cli is None:
        return sorted({agent.cli_type for agent in agents if agent.cli_type in cli_types})
    if cli not in cli_types:
        raise NotFound(f"there is no CLI type {cli!r}; known: {', '.join(sorted(cli_types))}")
    return [cli]


def diagnose(
    cli_type: CliType, agents: Sequence[Agent], environment: Mapping[str, str], home: Path, *, now: datetime
) -> Diagnosis:
    """Check one CLI type: its program, its agents' folders and logins, the disks below them. Reads only."""
    settings = settings_of(cli_type, agents, environment, home)
    looks = looks_at(settings, home, now=now)
    return Diagnosis(cli_type=cli_type.name, checks=tuple(look() for look in looks.values()), checked_at=now)


def looks_at(
    settings: Sequence[Setting], home: Path, *, now: datetime, was_full: bool = False
) -> dict[str, Look]:
    """The checks that start nothing, by name, in the order in which they are told."""
    needs = driver_named(settings[0].cli_type.driver).needs
    return {
        "binary": lambda: together((one, check_binary(one.cli_type, one.env)) for one in settings),
        "environment": lambda: together((one, check_environment(one)) for one in settings),
        "auth": lambda: together((one, check_login(needs, one.env, now, read_file)) for one in settings),
        "disk": lambda: check_disks(look_at_disks(_places(settings, home)), was_full=was_full),
    }


def check_binary(cli_type: CliType, env: Mapping[str, str]) -> Check:
    """Is the program there, on the PATH that its agents get?"""
    program = cli_type.command[0]
    found = shutil.which(program, path=env.get("PATH", os.defpath))
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


def installing(driver: Driver, program: str) -> str | None:
    """The command that installs a driver's own program; None for any other program."""
    is_its_own = driver.default_command[:1] == (program,) and driver.needs.package is not None
    return f"npm install -g {driver.needs.package}" if is_its_own else None


def _missing_file(program: str, setting: str) -> Check:
    """What is wrong with a program that is named with its folder: it is looked for there alone."""
    is_file = Path(program).is_file()
    if is_file:
        message = f"{program!r} may not be run: make it executable, or {setting}"
    elif Path(program).exists():
        message = f"{program!r} is no file: {setting}"
    else:
        message = f"{program!r} does not exist: install it there, or {setting}"
    mend = f"chmod +x {shlex.quote(program)}" if is_file else None
    return Check(name="binary", passed=False, message=message, mend=mend)


def check_environment(setting: Setting) -> Check:
    """Do working directories and HOME exist, may we use them, and is a variable set that the CLI needs?

    Without what they are worked in, those of the mode tmux cannot run either.
    """
    typed = [agent.agent_id for agent in setting.agents if agent.mode.of_caller is Mode.TMUX]
    if typed and (missing := setting.cli_type.no_terminal):
        said = f"agents that are worked in tmux cannot run ({', '.join(typed)}): {missing}"
        return Check(name="environment", passed=False, message=said)
    folders = check_folders(setting.agents)
    home = home_of(setting.env)
    if not folders.passed or (home.is_dir() and os.access(home, os.W_OK | os.X_OK)):
        return Check(
            name="environment",
            passed=folders.passed,
            message=folders.message,
            mend=folders.mend,
            warnings=_unset(setting),
        )
    is_missing = not os.path.lexists(home)
    return Check(
        name="environment",
        passed=False,
        message=f"HOME is {home}, {'which does not exist' if is_missing else 'where nothing can be written'}",
        mend=f"mkdir -p {shlex.quote(str(home))}" if is_missing else None,
    )


def check_folders(agents: Sequence[Agent]) -> Check:
    """Do the agents' working directories exist, and may we enter them?"""
    bad = [agent for agent in agents if not (agent.cwd.is_dir() and os.access(agent.cwd, os.X_OK))]
    wrong = [f"{agent.agent_id}: {agent.cwd} is no folder that can be entered" for agent in bad]
    if wrong:
        missing = sorted({str(agent.cwd) for agent in bad if not os.path.lexists(agent.cwd)})
        return Check(
            name="environment",
            passed=False,
            message="; ".join(wrong) + "; create it, or change the agent's cwd",
            mend=f"mkdir -p {shlex.join(missing)}" if missing else None,
        )
    return Check(name="environment", passed=True, message="all working directories are there")


def _unset(setting: Setting) -> tuple[str, ...]:
    """The variable without which the CLI may not work, where it is not set and no flag takes its place."""
    needs = driver_named(setting.cli_type.driver).needs
    flags = {*setting.cli_type.command, *setting.cli_type.flags}
    bare = [agent.agent_id for agent in setting.agents if not flags.union(agent.flags) & {*needs.instead}]
    if needs.variable is None or setting.env.get(needs.variable) or not bare:
        return ()
    return (f"{', '.join(bare)}: {needs.variable} is not set; {needs.without}",)


def _places(settings: Sequence[Setting], home: Path) -> Iterable[Path]:
    """Where the broker and the CLIs write."""
    yield home
    for setting in settings:
        yield from (agent.cwd for agent in setting.agents)
        yield home_of(setting.env)
