"""Tries out what supervision stands on: does this kernel, here and for this user, keep its promises?

A program of its own, as the warden is: `python -I -S -X utf8 promises.py RUNTIME SPOOL True` prints one JSON
object; False is for a broker without control groups. It forks, which the broker must not. Standard library
only.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypedDict

if TYPE_CHECKING or __package__:
    from kokino.process import cgroup, linux, spoolfile
else:
    # Behind the standard library: a file of ours must never stand in for one of its modules.
    sys.path.append(str(Path(__file__).parent))
    import cgroup
    import linux
    import spoolfile

#: How long one promise may take to be kept, in seconds: each takes a millisecond or two on a quiet machine.
PATIENCE = 3.0
#: How trees are held together and measured.
CGROUP, TREE_WALK = "cgroup", "tree walk"


class CheckFields(TypedDict):
    """One promise; see `kokino.process.selfcheck.Check`."""

    name: str
    passed: bool
    message: str
    is_required: bool


class Broken(Exception):
    """A promise that is not kept here; the message says what follows."""


def main(runtime: Path, spool: Path, may_use_cgroup: str) -> int:
    """Print the checks and the tier; return the exit status."""
    checks = [
        _try("subreaper", _subreaper),
        _try("pidfd", _pidfd),
        _try("parent-death signal", _parent_death),
        _try("proportional memory", _proportional_memory),
        _try("socket", lambda: _socket(runtime)),
        _try("hole punching", lambda: _hole(_existing(spool)), is_required=False),
        _try("priority", _priority, is_required=False),
    ]
    is_on = may_use_cgroup == str(True)
    root = cgroup.find_delegated() if is_on else None
    if root is None:
        # Most machines have none to give: that is no fault.
        said = "none is delegated to this process" if is_on else "switched off"
        group = _try("cgroup v2", lambda: f"{said}; trees are walked", is_required=False)
    else:
        group = _try("cgroup v2", lambda: _cgroup(root), is_required=False)
    tier = CGROUP if root is not None and group["passed"] else TREE_WALK
    sys.stdout.write(json.dumps({"checks": [*checks, group], "tier": tier}))
    return 0


def _try(name: str, promise: Callable[[], str], *, is_required: bool = True) -> CheckFields:
    """Have one kept; what goes wrong is a result."""
    try:
        return CheckFields(name=name, passed=True, message=promise(), is_required=is_required)
    except Broken as error:
        message = str(error)
    except OSError as error:
        message = f"the system refuses: {error}"
    return CheckFields(name=name, passed=False, message=message, is_required=is_required)


def _subreaper() -> str:
    """A grandchild in a session of its own, whose parent is gone, must become our child."""
    linux.become_subreaper()
    told, tell = os.pipe()
    with _child(lambda: _orphan(tell)) as pid:
        os.waitpid(pid, 0)
        parent = int(_heard(told) or 0)
        if parent != os.getpid():
            raise Broken(f"a process that lost its parent went to pid {parent}: executions could escape")
        os.wait()
    os.close(told)
    os.close(tell)
    return "a process that hides in a session of its own and loses its parent comes back to us"


def _orphan(tell: int) -> None:
    """Leave a child behind that says who its parent is, once it is not this process any more."""
    first = os.getpid()
    os.setsid()
    if os.fork() == 0:
        deadline = time.monotonic() + PATIENCE
        while os.getppid() == first and time.monotonic() < deadline:
            time.sleep(0.001)
        os.write(tell, str(os.getppid()).encode())
    os._exit(0)


def _pidfd() -> str:
    """A process must be reached by its descriptor, and its end be seen there."""
    with _child(signal.pause) as pid:
        descriptor = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            if not select.select([descriptor], [], [], PATIENCE)[0]:
                raise Broken("the end of a process is not seen by its descriptor")
        finally:
            os.close(descriptor)
    return "processes are signalled and waited for by descriptors, which nobody else can get"


def _parent_death() -> str:
    """What asked to die with its parent must."""
    told, tell = os.pipe()
    with _child(lambda: _have_one_that_dies(tell)) as pid:
        orphan = int(_heard(told) or 0)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        # It is our child now, see the subreaper.
        with _ended(orphan):
            if not _ends(orphan):
                raise Broken("a CLI would outlive a keeper that is killed, until the warden has found it")
    os.close(told)
    os.close(tell)
    return "a CLI dies with its keeper"


def _have_one_that_dies(tell: int) -> None:
    parent = os.getpid()
    if os.fork() == 0:
        linux.die_with(parent)
        os.write(tell, str(os.getpid()).encode())
    signal.pause()


def _proportional_memory() -> str:
    """The memory of another process, with shared pages divided, must be told."""
    with _child(signal.pause) as pid:
        text = Path(f"/proc/{pid}/smaps_rollup").read_bytes()
    if b"\nPss:" not in text:
        raise Broken("shared memory cannot be told: it counts once for each process of a tree")
    return "shared memory counts once for a tree near its limit"


def _socket(runtime: Path) -> str:
    """The warden's socket must fit into an address, and the folder must take sockets."""
    size = len(os.fsencode(runtime.absolute() / "warden.sock"))
    if size > linux.LONGEST_SOCKET_PATH:
        raise Broken(
            f"{runtime}/warden.sock has {size} bytes, {linux.LONGEST_SOCKET_PATH} at most; "
            "configure a shorter runtime directory"
        )
    # A name as short as the warden's own: in a long folder another one might not fit.
    path = _existing(runtime) / f"check.{os.getpid() % 100_000}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.unlink()
    return f"its path has {size} of {linux.LONGEST_SOCKET_PATH} bytes"


#: More than what a file system hides beside its inode.
_HOLE_BYTES = 1024 * 1024


def _hole(spool: Path) -> str:
    """The space behind what has been recorded must come back while a CLI goes on writing."""
    path = spool / f"check.{os.getpid()}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        path.unlink()
        os.write(descriptor, b"x" * _HOLE_BYTES)
        before = os.fstat(descriptor).st_blocks
        is_punched = spoolfile.punch(descriptor, 0, _HOLE_BYTES)
        if not is_punched or os.fstat(descriptor).st_blocks >= before:
            raise Broken(
                f"the file system of {spool} knows no holes: output takes its space until its execution ends"
            )
    finally:
        os.close(descriptor)
    return "the space of output is given back as it is recorded"


def _priority() -> str:
    """Warden and keepers should run before the processes that they have to end."""
    told, tell = os.pipe()
    with _child(lambda: _say_class(tell)) as pid:
        policy = int(_heard(told) or 0)
        os.waitpid(pid, 0)
    os.close(told)
    os.close(tell)
    if policy & ~os.SCHED_RESET_ON_FORK != os.SCHED_RR:
        raise Broken(
            "warden and keepers wait for their turn like everybody: a fork bomb may be ended late "
            "(CAP_SYS_NICE, or a delegated control group, mends that)"
        )
    return "warden and keepers run before what they have to end"


def _say_class(tell: int) -> None:
    linux.run_first()
    os.write(tell, str(os.sched_getscheduler(0)).encode())
    os._exit(0)


def _cgroup(root: Path) -> str:
    """A group must be made, entered, killed in one call and removed."""
    group = cgroup.Group(str(root / f"kokino-check-{os.getpid()}"))
    Path(group.path).mkdir()
    told, tell = os.pipe()
    try:
        with _child(lambda: _enter(group, tell)) as pid:
            if _heard(told) != b"in":
                raise Broken(f"{group.path} cannot be entered; trees are walked")
            group.kill()
            if not _ends(pid):
                raise Broken("this kernel has no cgroup.kill (5.14); trees are walked")
    finally:
        os.close(told)
        os.close(tell)
        deadline = time.monotonic() + PATIENCE
        while not group.remove() and time.monotonic() < deadline:
            time.sleep(0.001)
    handed = (root / "cgroup.subtree_control").read_text(encoding="ascii").split()
    limits = ", ".join(name for name in cgroup.CONTROLLERS if name in handed) or "no"
    return f"{root}; {limits} limits are handed down so far"


def _enter(group: cgroup.Group, tell: int) -> None:
    try:
        group.enter()
    except OSError:
        os.write(tell, b"no")
    else:
        os.write(tell, b"in")
    signal.pause()


# -- children


@contextmanager
def _child(what: Callable[[], object]) -> Iterator[int]:
    """A forked process that does `what`; it is gone afterwards."""
    pid = os.fork()
    if pid == 0:
        _do(what)
    with _ended(pid):
        yield pid


def _do(what: Callable[[], object]) -> NoReturn:
    try:
        what()
    finally:
        os._exit(1)


@contextmanager
def _ended(pid: int) -> Iterator[None]:
    """Kill and bury a child afterwards, if it is still there."""
    try:
        yield
    finally:
        with suppress(ChildProcessError, ProcessLookupError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _ends(pid: int) -> bool:
    """True when a child of ours was killed in time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done == pid:
            return os.WIFSIGNALED(status)
        time.sleep(0.001)
    return False


def _heard(descriptor: int) -> bytes:
    """What a child says; nothing when it does not in time."""
    return os.read(descriptor, 100) if select.select([descriptor], [], [], PATIENCE)[0] else b""


def _existing(folder: Path) -> Path:
    """The folder, or where it will be made."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
