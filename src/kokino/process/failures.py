"""Why a process could not be started, in words that tell what to do next."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from typing import Any

from kokino.errors import ProcessError
from kokino.process.model import Launch


class CommandNotFound(ProcessError):
    """There is no such program on the PATH that was given, or the interpreter of a script is missing."""

    code = "command_not_found"


class DirectoryNotFound(ProcessError):
    """The working directory is not there."""

    code = "directory_not_found"


class NotPermitted(ProcessError):
    """Program, directory or file are there, but this user may not use them so."""

    code = "not_permitted"


class WardenDied(ProcessError):
    """The warden is gone. Its keepers end their trees; the exit files tell how."""

    code = "warden_died"


def failure_of(launch: Launch, answer: Mapping[str, Any]) -> ProcessError:
    """The error for a warden's answer that is no `started`."""
    if "failed" not in answer:
        return ProcessError(str(answer.get("error", "the warden gave no reason")))
    failed = answer["failed"]
    stage, number = failed["stage"], failed["errno"]
    is_missing = number in {errno.ENOENT, errno.ENOTDIR}
    if stage == "exec" and is_missing:
        return CommandNotFound(_not_found(launch))
    if stage == "cwd" and is_missing:
        return DirectoryNotFound(
            f"the working directory {launch.cwd} does not exist; make it or configure another"
        )
    message = f"{launch.argv[0]}: {_SUBJECTS[stage].format(failed['path'])}: {os.strerror(number)}"
    if number in {errno.EACCES, errno.EPERM}:
        return NotPermitted(message)
    return ProcessError(message)


_SUBJECTS = {
    "fork": "no keeper could be forked",
    "setup": "its process could not be set up",
    "cwd": "the working directory {} cannot be entered",
    "stdin": "its standard input {} cannot be read",
    "terminal": "its terminal {} cannot be opened",
    "stdout": "its spool file {} cannot be written",
    "stderr": "its spool file {} cannot be written",
    "exec": "the program {} cannot be run",
}


def _not_found(launch: Launch) -> str:
    program = launch.argv[0]
    path = launch.env.get("PATH", os.defpath)
    if "/" not in program and shutil.which(program, path=path) is None:
        return f"{program} is not on the PATH of this execution ({path}); install it or configure `command`"
    if "/" in program and not (launch.cwd / program).exists():
        return f"{program} does not exist; install it or configure `command`"
    return f"{program} is there, but the interpreter that its first line names is not"
