"""Shows what this machine can do for executions, from what `promises.py` has tried."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from kokino.process import promises

#: How long all of it may take, in seconds, until the program counts as stuck.
LONGEST = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One promise."""

    name: str
    passed: bool
    #: What was seen; where it failed, what follows and what can be done.
    message: str
    #: False where supervision is whole without it, only dearer or later.
    is_required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCheck:
    """What this machine can do for executions."""

    checks: tuple[Check, ...]
    #: How trees are held together and measured: "cgroup" or "tree walk".
    tier: str

    @property
    def passed(self) -> bool:
        """True when nothing is missing that supervision needs."""
        return all(check.passed for check in self.checks if check.is_required)


def check(runtime_folder: Path, *, spool: Path | None = None, may_use_cgroup: bool = True) -> SelfCheck:
    """Try everything; takes some 100 ms, blocks, may be called from any thread, and never raises.

    `spool` is where output goes, the runtime folder without one. `may_use_cgroup` is False where control
    groups are switched off. A folder that is not there yet is tried where it will be made.
    """
    folders = (runtime_folder, spool or runtime_folder)
    if sys.platform != "linux":
        return _not_made("executions need Linux for now")
    command = (
        sys.executable,
        "-I",
        "-S",
        "-X",
        "utf8",
        promises.__file__,
        *map(str, folders),
        str(may_use_cgroup),
    )
    try:
        done = subprocess.run(command, capture_output=True, timeout=LONGEST, check=True)
        said = json.loads(done.stdout)
        return SelfCheck(checks=tuple(Check(**each) for each in said["checks"]), tier=said["tier"])
    except subprocess.CalledProcessError as error:
        return _not_made(error.stderr.decode(errors="replace").strip().rpartition("\n")[2])
    except (OSError, ValueError, TypeError, KeyError, subprocess.TimeoutExpired) as error:
        return _not_made(str(error))


def _not_made(reason: str) -> SelfCheck:
    failed = Check(name="self-check", passed=False, message=f"it could not be made: {reason}")
    return SelfCheck(checks=(failed,), tier=promises.TREE_WALK)
