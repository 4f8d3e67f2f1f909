"""What the doctor can tell without a broker: of the machine, and of what ``kokino.toml`` says."""

from __future__ import annotations

import asyncio
import shlex
import signal
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from kokino.api.environment import CheckShape, Environment, environment_shape
from kokino.api.supervision import self_check_shape
from kokino.app.ground import runtime_path
from kokino.app.settings import Checked, check
from kokino.app.tryout import diagnose
from kokino.config import FILE_NAME, load
from kokino.doctor.machine import look_at_machine
from kokino.doctor.model import Check
from kokino.doctor.supervision import SYSTEMD, told
from kokino.errors import ConfigInvalid
from kokino.process import selfcheck


def self_check(checked: Checked, runtime_folder: Path) -> Callable[[], selfcheck.SelfCheck]:
    """The self-check of supervision for a broker of this configuration."""
    return partial(
        selfcheck.check,
        runtime_folder,
        spool=checked.config.home / "broker" / "spool",
        may_use_cgroup=checked.process.may_use_cgroup,
    )


def examine(home: Path, environment: Mapping[str, str], *, cli: str | None, now: datetime) -> dict[str, Any]:
    """What the API would answer for a broker of `home` that looks now, and whether its file is good.

    CLIs are tried out as by a broker; nothing is left behind. Raises `NotFound` for a CLI type that is none.
    """
    folder = runtime_path(home, environment)
    try:
        checked = check(load(home), environment, now=now)
    except ConfigInvalid as error:
        # The machine is the same, whatever the file says.
        found = selfcheck.check(folder, spool=home / "broker" / "spool")
        return _answer(_faulty(error, home), found, None, now)
    found = self_check(checked, folder)()
    try:
        diagnoses = asyncio.run(diagnose(checked, cli=cli, now=now))
    except asyncio.CancelledError:  # as a shell tells of a program that SIGTERM has ended
        raise SystemExit(128 + signal.SIGTERM) from None
    file = checked.config.file or f"no {FILE_NAME} in {home}, so the defaults"
    good = Check(name="configuration", passed=True, message=f"good: {file}")
    machine = look_at_machine(checked.environment, found.tier)
    return _answer(good, found, environment_shape(diagnoses, machine, now), now)


def _faulty(error: ConfigInvalid, home: Path) -> Check:
    good = f"`kokino serve --check --home {shlex.quote(str(home))}` tells whether all is good"
    message = f"{'; '.join(map(str, error.faults))}; correct that, {good}"
    return Check(name="configuration", passed=False, message=message)


def _answer(
    configuration: Check, found: selfcheck.SelfCheck, environment: Environment | None, now: datetime
) -> dict[str, Any]:
    shapes = {
        "configuration": CheckShape.model_validate(configuration),
        "supervision": self_check_shape(told(found, now, has_systemd=SYSTEMD.is_dir())),
        "environment": environment,
    }
    return {
        name: None if shape is None else shape.model_dump(mode="json", by_alias=True)
        for name, shape in shapes.items()
    }
