"""What the doctor can tell without a broker: of the machine, and of what ``kokino.toml`` says."""

from __future__ import annotations

import asyncio
import shlex
import signal
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from kokino.api.environment import CheckShape, Environment, environment_shape
from kokino.api.supervision import self_check_shape
from kokino.app.ground import runtime_path
from kokino.app.settings import Checked, check, database_url
from kokino.app.tryout import diagnose
from kokino.config import FILE_NAME, load
from kokino.doctor.machine import look_at_machine
from kokino.doctor.model import Check
from kokino.doctor.supervision import SYSTEMD, told
from kokino.errors import ConfigInvalid, StorageError
from kokino.process import selfcheck
from kokino.storage import DamagedFile, check_opens, file_of


def self_check(checked: Checked, runtime_folder: Path) -> Callable[[], selfcheck.SelfCheck]:
    """The self-check of supervision for a broker of this configuration."""
    return partial(
        selfcheck.check,
        runtime_folder,
        spool=checked.config.home / "broker" / "spool",
        may_use_cgroup=checked.process.may_use_cgroup,
    )


def examine(home: Path, environment: Mapping[str, str], *, cli: str | None, now: datetime) -> dict[str, Any]:
    """What the API would answer for a broker of `home` that looks now; how its file and database are.

    CLIs are tried out as by a broker; nothing is left behind. Raises `NotFound` for a CLI type that is none.
    """
    folder = runtime_path(home, environment)
    try:
        checked = check(load(home), environment, now=now)
    except ConfigInvalid as error:
        # The machine is the same, whatever the file says.
        found = selfcheck.check(folder, spool=home / "broker" / "spool")
        return _answer([_faulty(error, home)], found, None, now)
    found = self_check(checked, folder)()
    try:
        diagnoses = asyncio.run(diagnose(checked, cli=cli, now=now))
    except asyncio.CancelledError:  # as a shell tells of a program that SIGTERM has ended
        raise SystemExit(128 + signal.SIGTERM) from None
    file = checked.config.file or f"no {FILE_NAME} in {home}, so the defaults"
    good = Check(name="configuration", passed=True, message=f"good: {file}")
    machine = look_at_machine(checked.environment, found.tier)
    looked_at = [good, _database(checked, environment)]
    return _answer(looked_at, found, environment_shape(diagnoses, machine, now), now)


def _faulty(error: ConfigInvalid, home: Path) -> Check:
    good = f"`kokino serve --check --home {shlex.quote(str(home))}` tells whether all is good"
    message = f"{'; '.join(map(str, error.faults))}; correct that, {good}"
    return Check(name="configuration", passed=False, message=message)


def _database(checked: Checked, environment: Mapping[str, str]) -> Check:
    url = database_url(checked, environment)
    try:
        check_opens(url)
        file = file_of(url)
    except StorageError as error:
        mend = _restore(error, checked.config.home) if isinstance(error, DamagedFile) else None
        return Check(name="database", passed=False, message=error.message, mend=mend)
    if file is None:
        message = "its server answers"
    elif file.exists():
        message = f"opens: {file}"
    else:
        message = f"none yet, the first start makes {file}"
    return Check(name="database", passed=True, message=message)


def _restore(damaged: DamagedFile, home: Path) -> str | None:
    if damaged.backup is None:
        return None
    return shlex.join(["kokino", "integrity", "restore", str(damaged.backup), "--home", str(home)])


def _answer(
    looked_at: Sequence[Check], found: selfcheck.SelfCheck, environment: Environment | None, now: datetime
) -> dict[str, Any]:
    by_name = {check.name: CheckShape.model_validate(check) for check in looked_at}
    shapes = {
        "configuration": by_name["configuration"],
        # Where it is, a file with faults does not tell.
        "database": by_name.get("database"),
        "supervision": self_check_shape(told(found, now, has_systemd=SYSTEMD.is_dir())),
        "environment": environment,
    }
    return {
        name: None if shape is None else shape.model_dump(mode="json", by_alias=True)
        for name, shape in shapes.items()
    }
