"""The keeper: the process above one CLI, which nothing that the CLI starts can get away from.

Forked by the warden without exec, one per execution. It is a subreaper: whatever loses its parent down there
becomes the keeper's own child, so "the keeper has no child left" is exactly "the tree is empty", and the
kernel is the one who says so. Its link to the warden carries commands down, reports up, and is the lifeline:
when it closes, the warden is dead and the tree is ended.

Standard library only.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, TypedDict

if TYPE_CHECKING or __package__:
    from kokino.process import linux, tree
    from kokino.process.cgroup import Group
    from kokino.process.ladder import Ladder
    from kokino.process.roundup import Roundup
    from kokino.process.spawn import LaunchFields, spawn
else:  # below the warden, which finds its parts in its own folder and runs without Kokino
    import linux
    import tree
    from cgroup import Group
    from ladder import Ladder
    from roundup import Roundup
    from spawn import LaunchFields, spawn

#: One message on the link; commands and reports are far smaller.
MESSAGE_BYTES = 65536


class EndedFields(TypedDict):
    """How an execution's processes ended; see `kokino.process.model.Ended`."""

    code: int | None
    signal: int | None
    was_stopped: bool
    leftovers: int
    breach: str | None
    peak_bytes: int | None
    cpu_ms: int | None


def run(launch: LaunchFields, link: socket.socket, lock: int) -> NoReturn:
    """Keep one execution from start to end and exit; never returns into the warden's code.

    Called right after the fork with all signals held back. `link` is a SOCK_SEQPACKET socket to the warden.
    `lock` is only kept open: while one keeper has it, no other warden can take over the directory.
    """
    status = 1
    try:
        linux.close_all_but({link.fileno(), lock})
        Keeper(launch, link).run()
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it is, it must not unwind into the warden's frames
        traceback.print_exc(file=sys.stderr)
        sys.stderr.flush()
    finally:  # after a fault, what is left of the tree falls to the warden, which kills it
        os._exit(status)


class Keeper:
    """The event loop of one keeper."""

    def __init__(self, launch: LaunchFields, link: socket.socket) -> None:
        self._launch = launch
        self._link = link
        self._link.setblocking(False)
        self._ladder = Ladder()
        self._roundup = Roundup(os.getpid())
        cgroup = launch.get("cgroup")
        self._group = None if cgroup is None else Group(cgroup)
        self._was_stopped = False
        #: The limit that it went over, as the warden said.
        self._breach: str | None = None
        #: The most memory that the warden has seen it take.
        self._peak_bytes = 0
        self._has_failed = False
        self._knows_leftovers = False
        #: The wait status of the CLI itself, once it has ended.
        self._status: int | None = None
        #: Killed while the CLI still lived: those are no leftovers.
        self._killed_with_cli: set[int] = set()
        self._leftovers: set[int] = set()
        self._become_a_keeper()
        with linux.signals_held():
            self._pid, self._told = spawn(launch)
        self._stat = tree.read_stat(self._pid)  # a zombie has one too: only this process may reap it

    def _become_a_keeper(self) -> None:
        linux.become_subreaper()
        linux.set_name("kokino-keeper")
        linux.set_command_line(f"kokino-keeper {self._launch['title']} {self._launch['id']}")
        linux.run_first()
        self._wakeup = linux.Wakeup(
            caught={signal.SIGCHLD},
            # They reach whole groups: a keeper that died of one would take the tree with it.
            ignored={signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT},
        )
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def run(self) -> None:
        """Until the tree is empty; then leave the exit file and tell the warden."""
        poll = select.poll()
        for descriptor in (self._link.fileno(), self._wakeup.fileno(), self._told):
            poll.register(descriptor, select.POLLIN)
        while not self._reap():
            self._climb()
            for descriptor, _ in poll.poll(_milliseconds(self._ladder.wait(time.monotonic()))):
                if descriptor == self._told:
                    poll.unregister(descriptor)
                    self._read_start()
                elif descriptor == self._wakeup.fileno():
                    self._wakeup.drain()
                elif descriptor == self._link.fileno() and not self._obey():
                    poll.unregister(descriptor)
        if not self._has_failed:
            self._finish()

    def _read_start(self) -> None:
        """Tell the warden that the CLI runs, or why it does not."""
        said = os.read(self._told, MESSAGE_BYTES)
        os.close(self._told)
        self._told = -1
        if said:
            self._has_failed = True
            self._tell({"event": "failed", **json.loads(said)})
        else:
            ticks = self._stat.started_at_ticks if self._stat else 0
            self._tell({"event": "started", "pid": self._pid, "started_at_ticks": ticks})

    def _obey(self) -> bool:
        """Take one command from the warden; False once the warden is gone, which ends the tree."""
        try:
            said = self._link.recv(MESSAGE_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            said = b""
        if not said:
            self._stop(signal.SIGTERM, self._launch["grace"])
            return False
        command = json.loads(said)
        if command["do"] == "note":
            self._peak_bytes = command["peak_bytes"]
            return True
        self._breach = self._breach or command["breach"]
        self._stop(signal.Signals(command["signal"]), command["grace"])
        return True

    def _stop(self, number: signal.Signals, grace: float) -> None:
        self._was_stopped = self._was_stopped or self._status is None
        if self._ladder.ask(number, grace=grace, now=time.monotonic()):
            self._ask_tree(number)

    def _ask_tree(self, number: signal.Signals) -> set[int]:
        # SIGCONT after it, or a stopped process would sleep through its grace.
        return self._roundup.ask(number, signal.SIGCONT)

    def _reap(self) -> bool:
        """Wait for whatever has died; True when nothing is left below this process."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self._pid:
                self._cli_ended(status)

    def _cli_ended(self, status: int) -> None:
        if self._told >= 0:  # it was faster than our look at the descriptor, which is closed by now
            self._read_start()
        self._status = status
        self._tell({"event": "exited", **describe(status)})

    def _end_leftovers(self) -> None:
        """What the CLI leaves behind has no work to finish: ask it to go at once, with a grace of its own."""
        self._knows_leftovers = True
        now = time.monotonic()
        self._ladder.ask(signal.SIGTERM, grace=self._launch["leftover_grace"], now=now)
        if not self._ladder.is_killing(now):
            self._leftovers |= self._ask_tree(signal.SIGTERM)

    def _climb(self) -> None:
        """Do what is due: kill, and kill again what was forked meanwhile."""
        if self._status is not None and not self._knows_leftovers:
            self._end_leftovers()
        now = time.monotonic()
        if not self._ladder.is_killing(now):
            return
        if self._ladder.is_pass_due(now):
            reached = self._group.kill() if self._group else set()
            self._stop_process_group()
            reached |= self._roundup.kill()
            self._ladder.passed(time.monotonic())
        else:
            reached = self._roundup.kill_new()
        if self._status is None:
            self._killed_with_cli |= reached
        else:
            self._leftovers |= reached - self._killed_with_cli

    def _stop_process_group(self) -> None:
        """Stop the CLI's process group in one call, which no fork gets away from.

        Only while the CLI is not reaped: until then nobody else's group can have its number.
        """
        if self._status is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGSTOP)

    def _finish(self) -> None:
        status, used = describe(self._status), resource.getrusage(resource.RUSAGE_CHILDREN)
        ended = EndedFields(
            code=status["code"],
            signal=status["signal"],
            was_stopped=self._was_stopped,
            leftovers=len(self._leftovers),
            breach=self._breach or (self._group.breach() if self._group else None),
            # Of what was shorter than the warden's first look, the largest process at least is known.
            peak_bytes=max(self._peak_bytes, used.ru_maxrss * 1024),
            cpu_ms=int((used.ru_utime + used.ru_stime) * 1000),
        )
        try:
            write_exit_file(self._launch["exit_file"], ended)
        finally:  # a full disk must not hide the end from those who listen
            self._tell({"event": "ended", **ended})

    def _tell(self, report: dict[str, Any]) -> None:
        with suppress(OSError):  # the warden is gone: the exit file tells
            self._link.send(json.dumps(report).encode())


def describe(status: int | None) -> dict[str, int | None]:
    """`code` or `signal` of a wait status; neither where nobody saw one."""
    if status is None:
        return {"code": None, "signal": None}
    code = os.waitstatus_to_exitcode(status)
    return {"code": code, "signal": None} if code >= 0 else {"code": None, "signal": -code}


def write_exit_file(path: str, ended: EndedFields) -> None:
    """Make `path` appear whole or not at all."""
    draft = f"{path}.{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, json.dumps(ended).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(draft, path)  # noqa: PTH105 - no pathlib here


def _milliseconds(seconds: float | None) -> int | None:
    # Rounded up: a poll that returns a moment early would spin until the moment has come.
    return None if seconds is None else int(seconds * 1000) + 1
