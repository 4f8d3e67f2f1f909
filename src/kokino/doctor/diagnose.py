"""Look at what a CLI type needs in order to run."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kokino.agents.model import Agent, CliType
from kokino.doctor.model import Check, Diagnosis
from kokino.errors import NotFound

#: How the programs that drivers start by default are installed: npm packages, by program.
PACKAGES = {
    "claude": "@anthropic-ai/claude-code",
    "codex": "@openai/codex",
    "droid": "droid",
    "gemini": "@google/gemini-cli",
    "opencode": "opencode-ai",
    "qwen": "@qwen-code/qwen-code",
}
#: Fullness of a file system that is warned of, and that fails.
DISK_WARNS_AT = 0.85
DISK_FAILS_AT = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """How full a file system is."""

    path: Path
    #: The kernel's number of the file system: the same for all paths on it.
    device: int
    #: 0 to 1.
    used: float
    free_bytes: int


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
    if cli is not None and cli not in cli_types:
        raise NotFound(f"there is no CLI type {cli!r}; known: {', '.join(sorted(cli_types))}")
    used = sorted({agent.cli_type for agent in agents if agent.cli_type in cli_types})
    wanted = used if cli is None else [cli]
    return [diagnose(cli_types[name], agents, environment, home, now=now) for name in wanted]


def diagnose(
    cli_type: CliType, agents: Sequence[Agent], environment: Mapping[str, str], home: Path, *, now: datetime
) -> Diagnosis:
    """Check one CLI type: its program, its agents' folders, the disks below them. Reads only."""
    own = [agent for agent in agents if agent.cli_type == cli_type.name]
    disks = look_at_disks([home, *(agent.cwd for agent in own)])
    return Diagnosis(
        cli_type=cli_type.name,
        checks=(check_binary(cli_type, environment), check_folders(own), check_disks(disks)),
        warnings=tuple(_disk_text(disk) for disk in disks if DISK_WARNS_AT <= disk.used < DISK_FAILS_AT),
        checked_at=now,
    )


def check_binary(cli_type: CliType, environment: Mapping[str, str]) -> Check:
    """Is the program there, on the PATH that its agents get?"""
    program = cli_type.command[0]
    path = {**environment, **cli_type.env}.get("PATH", os.defpath)
    found = shutil.which(program, path=path)
    if found is not None:
        return Check(name="binary", passed=True, message=f"found {found}")
    setting = f"set cli_types.{cli_type.name}.command to where it is"
    if os.sep in program:
        return _missing_file(program, setting)
    package = PACKAGES.get(program)
    return Check(
        name="binary",
        passed=False,
        message=f"{program!r} is not on PATH: install it, or {setting}",
        mend=f"npm install -g {package}" if package else None,
    )


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
    counted = "1 agent" if len(agents) == 1 else f"{len(agents)} agents"
    return Check(name="environment", passed=True, message=f"{counted}, all working directories are there")


def check_disks(disks: Sequence[Disk]) -> Check:
    """Is there room for what the CLIs and we write?"""
    full = [_disk_text(disk) for disk in disks if disk.used >= DISK_FAILS_AT]
    if full:
        return Check(name="disk", passed=False, message="; ".join(full) + "; free some space")
    return Check(
        name="disk",
        passed=True,
        message="; ".join(_disk_text(disk) for disk in disks) or "nothing to look at",
    )


def look_at_disks(paths: Iterable[Path]) -> list[Disk]:
    """Each file system that these paths are on, once, by the first of its paths."""
    looked = [disk for path in dict.fromkeys(paths) if (disk := look_at_disk(path)) is not None]
    first = {disk.device: disk for disk in reversed(looked)}
    return [disk for disk in looked if first[disk.device] is disk]


def look_at_disk(path: Path) -> Disk | None:
    """How full the file system at `path` is; None where there is none."""
    try:
        usage, device = shutil.disk_usage(path), path.stat().st_dev
    except OSError:
        return None
    # What root keeps for itself is neither used nor free for us: count as df does.
    seen = usage.used + usage.free
    return Disk(path=path, device=device, used=usage.used / seen if seen else 1.0, free_bytes=usage.free)


def _disk_text(disk: Disk) -> str:
    return f"{disk.path} is {disk.used:.0%} full, {disk.free_bytes / 1e9:.1f} GB free"
