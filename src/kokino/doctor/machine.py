"""What this machine has beside the CLIs: the tier of supervision, and programs that the broker uses."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from kokino.doctor.model import Check
from kokino.process.promises import CGROUP

#: Programs, and what does not work without them.
PROGRAMS = {
    "bash": "no playbook can run",
    "curl": "no playbook can run",
    "jq": "no playbook can run",
    "tmux": "no agent can run in tmux",
}
#: How a package is installed, by the program that does it. They all call these programs by their names.
INSTALLERS = {
    "apt-get": "apt-get install",
    "dnf": "dnf install",
    "zypper": "zypper install",
    "pacman": "pacman -S",
    "apk": "apk add",
    "brew": "brew install",
}


def look_at_machine(environment: Mapping[str, str], tier: str, *, usual: str = os.defpath) -> list[Check]:
    """None of it is needed to run a prompt headless. `usual` is the PATH of a machine without one."""
    path = environment.get("PATH", usual)
    how = (
        "executions have control groups"
        if tier == CGROUP
        else "executions have no control groups, trees are walked"
    )
    found = [Check(name="tier", passed=True, message=f"{tier}: {how}")]
    return [*found, *(_program(name, path, usual) for name in PROGRAMS)]


def _program(name: str, path: str, usual: str) -> Check:
    if found := shutil.which(name, path=path):
        return Check(name=name, passed=True, message=f"found {found}", is_required=False)
    said, mend = f"{name} is not on PATH", None
    if elsewhere := shutil.which(name, path=usual):
        said, repair = f"{said}, though {elsewhere} is there", f"add {Path(elsewhere).parent} to it"
    else:
        repair = "install it"
        mend = next((f"{do} {name}" for one, do in INSTALLERS.items() if shutil.which(one, path=usual)), None)
    message = f"{said}: {PROGRAMS[name]}; {repair}"
    return Check(name=name, passed=False, message=message, is_required=False, mend=mend)
