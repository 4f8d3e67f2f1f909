"""What this machine has beside the CLIs: the tier of supervision, and programs that the broker uses."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from kokino.doctor.model import Check
from kokino.process.promises import CGROUP

#: Programs, and what does not work without them.
PROGRAMS = {
    "bash": "no playbook can run",
    "curl": "no playbook can run",
    "jq": "no playbook can run",
    "tmux": "no agent can run in tmux",
}


def look_at_machine(environment: Mapping[str, str], tier: str) -> list[Check]:
    """None of it is needed to run a prompt headless."""
    path = environment.get("PATH", os.defpath)
    how = (
        "executions have control groups"
        if tier == CGROUP
        else "executions have no control groups, trees are walked"
    )
    found = [Check(name="tier", passed=True, message=f"{tier}: {how}")]
    return [*found, *(_program(name, shutil.which(name, path=path)) for name in PROGRAMS)]


def _program(name: str, found: str | None) -> Check:
    return Check(
        name=name,
        passed=found is not None,
        message=f"found {found}" if found else f"{name} is not on PATH: {PROGRAMS[name]}",
        is_required=False,
        mend=None if found else f"apt-get install {name}",
    )
