"""How a keeper forks and becomes the CLI. Standard library only; nothing is imported after the fork."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn, NotRequired, TypedDict

if TYPE_CHECKING or __package__:
    from kokino.process import linux
    from kokino.process.cgroup import Group
else:  # below the warden, which finds its parts in its own folder and runs without Kokino
    import linux
    from cgroup import Group

#: What every execution finds in its environment.
EXECUTION_VARIABLE = "KOKINO_EXECUTION"

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


class LaunchFields(TypedDict):
    """What the broker sends to have a CLI started; see `kokino.process.model.Launch`."""

    id: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    stdin: str | None
    stdout: str
    stderr: str
    exit_file: str
    grace: float
    leftover_grace: float
    memory_bytes: int | None
    processes: int | None
    spool_bytes: int | None
    title: str
    #: A terminal that stands for all three streams.
    terminal: str | None
    #: Set by the warden: the control group to start in, if there is one.
    cgroup: NotRequired[str]


def spawn(launch: LaunchFields) -> tuple[int, int]:
    """Fork the CLI; return its pid and a descriptor that tells how it went.

    The descriptor is closed by a successful exec; before that it carries one JSON object: `stage`, `errno`,
    `path`. Call it with signals held back.
    """
    keeper = os.getpid()
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(launch, keeper, tell)
    os.close(tell)
    return pid, told


def _become(launch: LaunchFields, keeper: int, tell: int) -> NoReturn:
    stage, path = "setup", ""
    try:
        linux.die_with(keeper)
        os.setsid()
        linux.run_as_before()
        _enter(launch.get("cgroup"))
        stage, path = "cwd", launch["cwd"]
        os.chdir(path)
        for stage, path, flags, target in _files(launch):  # noqa: B007 - the report names them
            descriptor = os.open(path, flags, 0o600)
            os.set_blocking(descriptor, True)
            os.dup2(descriptor, target)
        linux.close_all_but({tell})
        linux.default_signals()
        stage, path = "exec", launch["argv"][0]
        execute(launch["argv"], {**launch["env"], EXECUTION_VARIABLE: launch["id"]})
    except OSError as error:
        _report(tell, stage, path, error.errno or errno.EIO)
    except ValueError:  # a NUL byte, or an environment variable without a name
        _report(tell, stage, path, errno.EINVAL)
    finally:
        os._exit(127)


def _enter(cgroup: str | None) -> None:
    if cgroup is None:
        return
    try:
        Group(cgroup).enter()
    except OSError as error:  # the walks still reach it
        os.write(2, f"{cgroup} could not be entered: {error.strerror}\n".encode())


def _files(launch: LaunchFields) -> tuple[tuple[str, str, int, int], ...]:
    if terminal := launch["terminal"]:
        # A session without a terminal gets the one that it opens: keys become signals, /dev/tty opens.
        return tuple(("terminal", terminal, os.O_RDWR, target) for target in (0, 1, 2))
    return (
        # Not blocking: a FIFO without a writer would hold up the start for ever.
        ("stdin", launch["stdin"] or os.devnull, os.O_RDONLY | os.O_NONBLOCK, 0),
        ("stdout", launch["stdout"], _APPEND, 1),
        ("stderr", launch["stderr"], _APPEND, 2),
    )


def _report(tell: int, stage: str, path: str, number: int) -> None:
    os.write(tell, json.dumps({"stage": stage, "path": path, "errno": number}).encode())


def execute(argv: list[str], env: Mapping[str, str]) -> NoReturn:
    """Become `argv`, found on the PATH of `env`; raises OSError as execvp does.

    A file that is there but may not be run outranks the folders where there is none.
    """
    refusal = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
    worst: OSError = refusal
    for candidate in candidates(argv[0], env):
        try:
            os.execve(candidate, argv, env)  # noqa: S606 - an argv list and no shell, on purpose
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if worst is refusal:
                worst = error
    raise worst


def candidates(program: str, env: Mapping[str, str]) -> list[str]:
    """The files that `program` may mean, in order; a name with a slash means itself."""
    if "/" in program:
        return [program]
    return [f"{folder or '.'}/{program}" for folder in env.get("PATH", os.defpath).split(":")]
