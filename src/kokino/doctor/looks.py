"""What is looked at: which CLI types, and by which checks that start nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from kokino.agents.drivers.needs import home_of
from kokino.agents.model import Agent, CliType
from kokino.doctor.disk import check_disks, look_at_disks
from kokino.doctor.environment import check_environment
from kokino.doctor.login import check_login, read_file
from kokino.doctor.model import Diagnosis
from kokino.doctor.patience import Look
from kokino.doctor.program import check_binary
from kokino.doctor.setting import Setting, settings_of, together
from kokino.errors import NotFound


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
    """Check one CLI type by all that starts nothing, however long that takes."""
    looks = looks_at(settings_of(cli_type, agents, environment, home), home, now=now)
    return Diagnosis(cli_type=cli_type.name, checks=tuple(look() for look in looks.values()), checked_at=now)


def looks_at(
    settings: Sequence[Setting], home: Path, *, now: datetime, was_full: bool = False
) -> dict[str, Look]:
    """The checks that start nothing, by name, in the order in which they are told."""
    return {
        "binary": lambda: together((one, check_binary(one.cli_type, one.env)) for one in settings),
        "environment": lambda: together((one, check_environment(one)) for one in settings),
        "auth": lambda: together(
            (one, check_login(one.cli_type, one.env, now, read_file)) for one in settings
        ),
        "disk": lambda: check_disks(look_at_disks(_places(settings, home)), was_full=was_full),
    }


def _places(settings: Sequence[Setting], home: Path) -> Iterable[Path]:
    """Where the broker and the CLIs write."""
    yield home
    for setting in settings:
        yield from (agent.cwd for agent in setting.agents)
        yield home_of(setting.env)
