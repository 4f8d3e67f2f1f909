"""The executions in a warden's care: one keeper each, from fork to burial. Standard library only."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from kokino.process import keeper, linux, tree
    from kokino.process.cgroup import Group, Groups
    from kokino.process.meter import Meter, SampleFields
    from kokino.process.roundup import Roundup
    from kokino.process.spawn import LaunchFields
else:  # below the warden, which finds its parts in its own folder and runs without Kokino
    import keeper
    import linux
    import tree
    from cgroup import Group, Groups
    from meter import Meter, SampleFields
    from roundup import Roundup
    from spawn import LaunchFields

#: Seconds between two looks for what killed keepers left behind: short at first, see `kokino.process.ladder`.
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25
#: The number of a request that nobody waits for; brokers count from 1.
NOBODYS = 0


class Ward:
    """One execution: its keeper and what that has reported."""

    def __init__(self, launch: LaunchFields, keeper_pid: int, link: socket.socket, request: int) -> None:
        self.launch = launch
        self.group = Group(launch["cgroup"]) if "cgroup" in launch else None
        self.keeper_pid = keeper_pid
        stat = tree.read_stat(keeper_pid)  # our child until we reap it, so it is there
        self.keeper_ticks = stat.started_at_ticks if stat else 0
        self.link = link
        #: The start request that still waits for its answer.
        self.request: int | None = request
        #: Pid and start time of the CLI, once it runs.
        self.started: dict[str, int] | None = None
        #: Why it could not be started.
        self.failed: dict[str, Any] | None = None
        #: How the CLI itself ended, as far as anybody saw it.
        self.exited: dict[str, int | None] = keeper.describe(None)
        #: The keeper's own account, once the tree is empty.
        self.ended: keeper.EndedFields | None = None
        self.was_stopped = False
        #: The limit that it went over.
        self.breach: str | None = None
        #: The most memory that it was seen to take.
        self.peak_bytes = 0
        #: What the warden had to kill itself because the keeper was killed.
        self.strays: set[int] = set()

    @property
    def id(self) -> str:
        """The execution's id."""
        return self.launch["id"]

    def describe(self) -> dict[str, Any]:
        """What a broker needs to recognise it."""
        keeper_is = {"keeper_pid": self.keeper_pid, "keeper_started_at_ticks": self.keeper_ticks}
        return {**(self.started or {}), **keeper_is, "exit_file": self.launch["exit_file"]}

    def stop(self, number: int, grace: float | None, *, breach: str | None = None) -> None:
        """Have the keeper walk the ladder; a keeper that is gone needs no telling."""
        self.was_stopped = True
        self.breach = self.breach or breach
        seconds = self.launch["grace"] if grace is None else grace
        self._command({"do": "stop", "signal": number, "grace": seconds, "breach": breach})
        with suppress(OSError):
            os.kill(self.keeper_pid, signal.SIGCONT)  # one that somebody stopped could not obey

    def tell_peak(self, peak_bytes: int) -> None:
        """Have the keeper know what to leave in the exit file, which outlives the warden.

        Only when it has read all before: notes to one that somebody stopped would fill the link, and then the
        command to end its tree would be lost.
        """
        if peak_bytes > self.peak_bytes and linux.is_drained(self.link.fileno()):
            self.peak_bytes = peak_bytes
            self._command({"do": "note", "peak_bytes": peak_bytes})

    def _command(self, command: dict[str, Any]) -> None:
        with suppress(OSError):
            self.link.send(json.dumps(command).encode())

    def note(self, report: dict[str, Any]) -> None:
        """Keep what the keeper reports."""
        match report["event"]:
            case "started":
                self.started = {name: report[name] for name in ("pid", "started_at_ticks")}
            case "failed":
                self.failed = {name: report[name] for name in ("stage", "path", "errno")}
            case "exited":
                self.exited = {name: report[name] for name in ("code", "signal")}
            case "ended":
                self.ended = keeper.EndedFields(
                    code=report["code"],
                    signal=report["signal"],
                    was_stopped=report["was_stopped"],
                    leftovers=report["leftovers"],
                    breach=report["breach"],
                    peak_bytes=report["peak_bytes"],
                    cpu_ms=report["cpu_ms"],
                )


class Wards:
    """All of them. What there is to tell goes through the functions that it is given.

    `lock` is the descriptor of the directory's lock, which every keeper holds with the warden.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        *,
        lock: int,
        answer: Callable[[int, dict[str, Any]], None],
        tell_end: Callable[[str, keeper.EndedFields], None],
        log: Callable[[str], None],
    ) -> None:
        self._selector = selector
        self._lock = lock
        self._answer = answer
        self._tell_end = tell_end
        self._log = log
        #: Makes control groups for executions; None where there are none to be had.
        self.groups: Groups | None = None
        self._meter = Meter()
        self._by_keeper: dict[int, Ward] = {}
        self._roundup = Roundup(os.getpid(), outside=self._by_keeper)
        self._by_id: dict[str, Ward] = {}
        #: Those whose keeper was killed; they end when nothing that it left behind is alive.
        self._lost: list[Ward] = []
        self._pause = FIRST_PAUSE

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, id: str) -> bool:
        return id in self._by_id

    def describe(self) -> dict[str, dict[str, Any]]:
        """Every execution that runs, by its id."""
        return {ward.id: ward.describe() for ward in self._by_id.values() if ward.started is not None}

    def start(self, launch: LaunchFields, request: int) -> None:
        """Fork a keeper; the answer to `request` comes when the CLI runs or could not be started."""
        launch = self._with_group(launch)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with linux.signals_held():
                pid = os.fork()
                if pid == 0:
                    keeper.run(launch, theirs, self._lock)
        except OSError as error:
            ours.close()
            self._discard_group(launch)
            failed = {"stage": "fork", "path": "", "errno": error.errno}
            self._answer(request, {"id": launch["id"], "failed": failed})
            return
        finally:
            theirs.close()
        ours.setblocking(False)
        ward = self._by_id[launch["id"]] = self._by_keeper[pid] = Ward(launch, pid, ours, request)
        self._selector.register(ours, selectors.EVENT_READ, lambda _events: self._read_reports(ward))

    def _with_group(self, launch: LaunchFields) -> LaunchFields:
        group = self.groups and self.groups.make(launch["id"], launch["memory_bytes"], launch["processes"])
        return {**launch, "cgroup": group.path} if group else launch

    def _discard_group(self, launch: LaunchFields) -> None:
        if "cgroup" not in launch:
            return
        group = Group(launch["cgroup"])
        if self.groups is not None:
            self.groups.discard(group)
        else:
            group.remove()

    def stop(self, id: str, number: int, grace: float | None) -> None:
        """Start the ladder of one execution; grace None is the one it was launched with."""
        if id in self._by_id:
            self._by_id[id].stop(number, grace)

    def forget_requests(self) -> None:
        """Whoever asked is gone; the next broker counts anew, and hears of starts all the same."""
        for ward in self._by_id.values():
            if ward.request is not None:
                ward.request = NOBODYS

    def look(self, now: float) -> bool:
        """Read what is due, kill the trees that take too much; True when one was read."""
        found = self._meter.look(now)
        samples = self._meter.samples()
        for id, breach in found.items():
            if id in samples:
                self._by_id[id].tell_peak(samples[id]["peak_bytes"])
            group = self._by_id[id].group
            breach = breach or (group.breach() if group else None)
            if breach is not None:
                self._log(f"{id}: over its limit of {breach}; the last look: {samples.get(id)}")
                self._by_id[id].stop(signal.SIGKILL, 0, breach=breach)
        return bool(found)

    def next_look(self, now: float) -> float | None:
        """Seconds until `look` has something to do; None while nothing runs."""
        return self._meter.wait(now)

    def samples(self) -> dict[str, SampleFields]:
        """The latest reading of each tree."""
        return self._meter.samples()

    def stop_all(self) -> None:
        """Start the ladder of every execution, each with its own grace."""
        for ward in self._by_id.values():
            ward.stop(signal.SIGTERM, None)

    def bury(self) -> None:
        """Reap whatever has died and settle what ended with it."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._by_keeper:
                self._keeper_ended(self._by_keeper.pop(pid), status)
            else:
                self._stray_ended(pid, status)

    def sweep(self) -> float | None:
        """Kill what killed keepers left behind; return seconds until it must be looked at again, or None."""
        if not self._lost:
            return None
        reached = set().union(*(ward.group.kill() for ward in self._lost if ward.group))
        reached |= self._roundup.kill()
        for ward in self._lost:
            ward.strays |= reached
        # The dead ones too: how a CLI ended is known when it is buried.
        strays = [child for child in tree.children(os.getpid()) if child.pid not in self._by_keeper]
        if strays:
            pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
            return pause
        self._pause = FIRST_PAUSE
        lost, self._lost = self._lost, []
        for ward in lost:
            self._give_up(ward)
        return None

    def _read_reports(self, ward: Ward) -> None:
        while ward.link.fileno() >= 0:
            try:
                said = ward.link.recv(keeper.MESSAGE_BYTES)
            except BlockingIOError:
                return
            except ConnectionError:
                said = b""
            if said:
                ward.note(json.loads(said))
                self._answer_start(ward)
            else:  # the keeper is gone; its burial settles the rest
                self._selector.unregister(ward.link)
                ward.link.close()

    def _answer_start(self, ward: Ward) -> None:
        if ward.started is not None and ward.request is not None:
            self._answer(ward.request, {"id": ward.id, "started": ward.describe()})
            ward.request = None
            self._meter.add(ward.id, ward.launch, ward.keeper_pid, time.monotonic())

    def _keeper_ended(self, ward: Ward, status: int) -> None:
        self._read_reports(ward)
        if ward.ended is not None:
            self._settle(ward, ward.ended)
        elif ward.failed is not None:
            self._refuse(ward, {"failed": ward.failed})
        else:
            self._log(f"{ward.id}: its keeper {ward.keeper_pid} died: {keeper.describe(status)}")
            self._lost.append(ward)

    def _stray_ended(self, pid: int, status: int) -> None:
        """Perhaps the CLI of a killed keeper: then this is how it ended."""
        for ward in self._lost:
            if ward.started is not None and ward.started["pid"] == pid:
                ward.exited = keeper.describe(status)

    def _give_up(self, ward: Ward) -> None:
        if ward.started is None:
            self._refuse(ward, {"error": f"the keeper of {ward.id!r} was killed before its CLI ran"})
            return
        last = self._meter.remove(ward.id)
        ended = keeper.EndedFields(
            code=ward.exited["code"],
            signal=ward.exited["signal"],
            was_stopped=ward.was_stopped,
            leftovers=len(ward.strays - {ward.started["pid"]}),
            breach=ward.breach or (ward.group.breach() if ward.group else None),
            peak_bytes=last["peak_bytes"] if last else None,
            cpu_ms=last["cpu_ms"] if last else None,
        )
        try:
            keeper.write_exit_file(ward.launch["exit_file"], ended)
        except OSError as error:
            self._log(f"{ward.id}: no exit file: {error}")
        self._settle(ward, ended)

    def _settle(self, ward: Ward, ended: keeper.EndedFields) -> None:
        del self._by_id[ward.id]
        self._meter.remove(ward.id)
        self._discard_group(ward.launch)
        self._tell_end(ward.id, ended)

    def _refuse(self, ward: Ward, answer: dict[str, Any]) -> None:
        del self._by_id[ward.id]
        self._meter.remove(ward.id)
        self._discard_group(ward.launch)
        if ward.request is not None:
            self._answer(ward.request, {"id": ward.id, **answer})
