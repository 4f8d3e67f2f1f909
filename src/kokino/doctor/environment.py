"""Where agents work: folders, HOME, a terminal and a variable, with all that is wrong at once."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kokino.agents.drivers.needs import home_of
from kokino.agents.drivers.registry import driver_named
from kokino.agents.model import Agent, Mode
from kokino.doctor.model import Check
from kokino.doctor.reach import is_missing
from kokino.doctor.setting import Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    """One thing that is wrong."""

    text: str
    #: The folder that is not there, and would mend it.
    missing: Path | None = None


def check_environment(setting: Setting) -> Check:
    """Do working directories and HOME exist, may we use them, and is a variable set that the CLI needs?

    Without what they are worked in, those of the mode tmux cannot run either.
    """
    faults = [*_terminal(setting), *_folders(setting.agents), *_home(setting)]
    return Check(
        name="environment",
        passed=not faults,
        message="; ".join(fault.text for fault in faults) or "all working directories are there",
        mend=_making(faults),
        warnings=_unset(setting),
    )


def _terminal(setting: Setting) -> Iterator[_Fault]:
    typed = [agent.agent_id for agent in setting.agents if agent.mode.of_caller is Mode.TMUX]
    if typed and (missing := setting.cli_type.no_terminal):
        yield _Fault(text=f"agents that are worked in tmux cannot run ({', '.join(typed)}): {missing}")


def _folders(agents: Sequence[Agent]) -> Iterator[_Fault]:
    """Working directories that do not exist, or that we may not enter, each once with its agents."""
    for folder in dict.fromkeys(agent.cwd for agent in agents):
        if _can_use(folder, os.X_OK):
            continue
        names = ", ".join(agent.agent_id for agent in agents if agent.cwd == folder)
        is_gone = is_missing(folder)
        repair = "create it" if is_gone else "mend it"
        yield _Fault(
            text=f"{names}: {folder} is no folder that can be entered, {repair} or change cwd",
            missing=folder if is_gone else None,
        )


def _home(setting: Setting) -> Iterator[_Fault]:
    home = home_of(setting.env)
    if _can_use(home, os.W_OK | os.X_OK):
        return
    if is_missing(home):
        yield _Fault(
            text=f"HOME is {home}, which does not exist: create it, or set another in env", missing=home
        )
    else:
        yield _Fault(text=f"HOME is {home}, where nothing can be written: mend it, or set another in env")


def _can_use(folder: Path, how: int) -> bool:
    # Not by Path: that raises where a folder above it may not be entered.
    return os.path.isdir(folder) and os.access(folder, how)  # noqa: PTH112


def _making(faults: Sequence[_Fault]) -> str | None:
    """The command that makes all folders that are not there."""
    missing = sorted({str(fault.missing) for fault in faults if fault.missing is not None})
    return f"mkdir -p {shlex.join(missing)}" if missing else None


def _unset(setting: Setting) -> tuple[str, ...]:
    """The variable without which the CLI may not work, where it is not set and no flag takes its place."""
    needs = driver_named(setting.cli_type.driver).needs
    flags = {*setting.cli_type.command, *setting.cli_type.flags}
    bare = [agent.agent_id for agent in setting.agents if not flags.union(agent.flags) & {*needs.instead}]
    if needs.variable is None or setting.env.get(needs.variable) or not bare:
        return ()
    return (f"{', '.join(bare)}: {needs.variable} is not set; {needs.without}",)
