"""What the warden and its keepers ask of the kernel. Standard library only."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import termios
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

#: Numbers from linux/prctl.h.
PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36

#: sockaddr_un holds 108 bytes, the last of them a NUL.
LONGEST_SOCKET_PATH = 107

#: The kernel lets nobody handle these.
UNCATCHABLE = frozenset({signal.SIGKILL, signal.SIGSTOP})

#: Of whoever started this program; nobody needs a right to be nicer.
_NICENESS = os.getpriority(os.PRIO_PROCESS, 0)
# Looked up once, before any fork: nothing is loaded in a child. None where the system has no such call.
_prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)


def prctl(option: int, argument: int | ctypes.Array[ctypes.c_char]) -> None:
    """Set one attribute of this process; raises OSError."""
    if _prctl is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), "prctl")
    if _prctl(option, argument, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"prctl {option}")


def become_subreaper() -> None:
    """Make every orphan below this process its own child, setsid and double fork or not."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when `parent` dies; at once if it is dead already."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above: nobody would tell us any more
        os._exit(1)


def set_name(name: str) -> None:
    """Name this process for `ps -e` and `top`; the kernel keeps 15 bytes."""
    prctl(PR_SET_NAME, ctypes.create_string_buffer(name.encode()))


def set_command_line(shown: str) -> None:
    """Have `ps aux` show this in place of the arguments: as much as they had room for. Needs no right.

    For a CLI that is a script the kernel shows its interpreter alone, and nothing in it names its agent.
    """
    with suppress(OSError, ValueError, IndexError):  # nobody's work depends on what is shown
        with open("/proc/self/stat", "rb") as file:  # noqa: PTH123 - no pathlib here
            fields = file.read().rpartition(b")")[2].split()
        begins, ends = int(fields[45]), int(fields[46])
        room = ends - begins
        # A NUL at the end: without one the kernel takes what follows, the environment, for more of it.
        text = shown.encode("utf-8", "replace").replace(b"\0", b"?")[: room - 1].ljust(room, b"\0")
        with open("/proc/self/mem", "r+b", buffering=0) as memory:  # noqa: PTH123
            memory.seek(begins)
            memory.write(text)


def run_first() -> None:
    """Run before all ordinary processes from now on, where this user may (root may).

    Among thousands that fork, a supervisor would wait for its turn longer than they take to double. It must
    have little to do. Children are ordinary again, see `run_as_before`.
    """
    with suppress(OSError):  # no right, or a system without such a class: it waits like everybody
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def run_as_before() -> None:
    """Take the niceness back that this program was started with: the kernel gives such children none."""
    if _NICENESS > 0:
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)


def is_drained(descriptor: int) -> bool:
    """True when the peer has read all that was sent on a socket, or there is no socket any more."""
    try:
        return fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)) == bytes(4)
    except OSError:
        return True


def last_pid() -> int | None:
    """The pid (or thread id) that was given out last in our PID namespace; None where /proc does not tell."""
    try:
        with open("/proc/loadavg", "rb") as file:  # noqa: PTH123 - no pathlib here
            return int(file.read().split()[-1])
    except (OSError, ValueError, IndexError):
        return None


def pid_limit() -> int:
    """All pids are below this."""
    with open("/proc/sys/kernel/pid_max", "rb") as file:  # noqa: PTH123 - no pathlib here
        return int(file.read())


def close_all_but(kept: Iterable[int]) -> None:
    """Close every descriptor of this process except 0, 1, 2 and `kept`."""
    keep = {0, 1, 2, *kept}
    with os.scandir("/proc/self/fd") as entries:
        found = [int(entry.name) for entry in entries]
    for descriptor in set(found) - keep:
        with suppress(OSError):  # the one that read the folder is closed by now
            os.close(descriptor)


def default_signals() -> None:
    """Give every signal its default disposition and let all of them in, as a fresh program expects."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - UNCATCHABLE:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold all signals back around a fork, so that the child can settle its own handlers first."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Wakeup:
    """Turns signals into bytes on a descriptor, so that one poll waits for everything."""

    def __init__(self, *, caught: Iterable[signal.Signals], ignored: Iterable[signal.Signals]) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # A full pipe is no loss: the reader is awake and looks at everything anyway.
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in caught:
            signal.signal(number, _do_nothing)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._read

    def drain(self) -> set[int]:
        """The signals that came since the last call."""
        with suppress(BlockingIOError):
            return set(os.read(self._read, 4096))
        return set()


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Stand in as a handler: Python writes to the wakeup descriptor only for signals that have one."""
