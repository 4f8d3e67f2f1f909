"""The warden: the small process that owns every CLI, so that none outlives its broker unseen.

Run as `python -I -S -X utf8 warden.py RUNTIME_DIR HOLD_SECONDS`; it listens on RUNTIME_DIR/warden.sock, goes
into the background and exits 0, or says on stderr why it cannot. Single-threaded and standard library only:
it forks without exec, which neither threads nor a large heap go well with.

One broker at a time is connected. Its connection is the lifeline: when it closes, the children are held for
HOLD seconds; then, unless a broker has come back, every tree is ended and the warden exits. Each execution is
kept by a keeper (`keeper.py`); when one is killed, its orphans fall to the warden, which kills them on sight.

Messages are JSON lines. A connection begins with `hello`; then come `start`, `stop` and `end`. Each has a
`request` number that its answer repeats. Told unasked: `{"event": "samples", …}` and `{"event": "ended", …}`;
the latter is told again to the next broker until one has said that it `heard`.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING or __package__:
    from kokino.process import linux
    from kokino.process.cgroup import Groups
    from kokino.process.keeper import EndedFields
    from kokino.process.lines import Lines
    from kokino.process.wards import Wards
else:
    # Behind the standard library: a file of ours must never stand in for one of its modules.
    sys.path.append(str(Path(__file__).parent))
    import linux
    from cgroup import Groups
    from keeper import EndedFields
    from lines import Lines
    from wards import Wards

#: Changes whenever a message changes its meaning; a broker of another version is told so.
PROTOCOL = 6
#: Exit status that means: another warden serves this folder, or keepers of one still end their trees.
TAKEN = 75
#: The log starts anew when a warden starts and finds it larger than this, in bytes.
LOG_LIMIT = 1_000_000


class Warden:
    """The event loop, and the broker's end of it."""

    def __init__(self, folder: Path, listener: socket.socket, lock: int, hold: float) -> None:
        self._folder = folder
        self._listener = listener
        #: By the root that a broker gave.
        self._groups: dict[str, Groups] = {}
        self._hold = hold
        #: When the children's time without a broker is over; None while there is a broker.
        self._hold_until: float | None = time.monotonic() + hold
        self._broker: Lines | None = None
        self._is_ending = False
        #: Ends that no broker has said to have heard of.
        self._unheard: dict[str, EndedFields] = {}
        # poll, not epoll: an epoll set is shared with a forked keeper.
        self._selector = selectors.PollSelector()
        self._wards = Wards(self._selector, lock=lock, answer=self._answer, tell_end=self._tell_end, log=log)
        self._wakeup = linux.Wakeup(
            caught={signal.SIGCHLD, signal.SIGTERM, signal.SIGINT},
            ignored={signal.SIGHUP, signal.SIGQUIT},
        )
        self._selector.register(listener, selectors.EVENT_READ, lambda _events: self._accept())
        self._selector.register(self._wakeup, selectors.EVENT_READ, lambda _events: self._signalled())

    def serve(self) -> None:
        """Until all has ended: by request, by a signal, or because no broker came back in time."""
        sweep_in: float | None = None
        while not (self._is_ending and not self._wards):
            for key, events in self._selector.select(self._wait(sweep_in)):
                key.data(events)
            sweep_in = self._wards.sweep()
            if self._wards.look(time.monotonic()):
                self._tell_samples()
            if self._hold_until is not None and time.monotonic() >= self._hold_until:
                self._end_all(f"no broker came within {self._hold:g} s")
        for groups in self._groups.values():
            groups.close()
        if self._broker is not None:
            self._broker.close(patience=1)

    def _wait(self, sweep_in: float | None) -> float | None:
        now = time.monotonic()
        hold = None if self._hold_until is None else max(0.0, self._hold_until - now)
        waits = (sweep_in, hold, self._wards.next_look(now))
        return min((wait for wait in waits if wait is not None), default=None)

    def _signalled(self) -> None:
        signals = self._wakeup.drain()
        self._wards.bury()
        if signals & {signal.SIGTERM, signal.SIGINT}:
            self._end_all("asked by a signal")

    def _end_all(self, reason: str) -> None:
        if not self._is_ending:
            log(f"{reason}: ending {len(self._wards)} executions")
            self._is_ending = True
            self._hold_until = None
            self._wards.stop_all()

    # -- connections

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        guest = Lines(connection)
        self._selector.register(connection, selectors.EVENT_READ, lambda _events: self._greet(guest))

    def _greet(self, guest: Lines) -> None:
        """Hear a newcomer out before it is refused: closing on unread words would reset it."""
        hello = self._hear(guest)
        if not hello and guest.is_open():
            return
        self._selector.unregister(guest.socket)
        if not hello or not isinstance(hold := hello[0].get("hold"), int | float):
            guest.close()
        elif refusal := self._refusal(guest):
            log(f"refused pid {guest.peer_pid}: {refusal['refused']}")
            guest.send({**refusal, "pid": os.getpid()})
            guest.close(patience=1)
        else:
            self._use_groups(hello[0].get("cgroup"))
            self._welcome(guest, hold)

    def _refusal(self, guest: Lines) -> dict[str, Any] | None:
        if guest.peer_uid != os.geteuid():
            return {"refused": f"it serves uid {os.geteuid()}, not uid {guest.peer_uid}"}
        if self._is_ending:
            return {"refused": "it is ending its executions", "is_ending": True}
        if self._broker is not None and self._broker.is_open():
            return {"refused": f"the broker with pid {self._broker.peer_pid} holds it"}
        return None

    def _welcome(self, broker: Lines, hold: float) -> None:
        self._part()  # from one that is gone, and whose end of stream waits unread
        log(f"broker {broker.peer_pid} is connected")
        self._broker, self._hold, self._hold_until = broker, hold, None
        self._selector.register(broker.socket, selectors.EVENT_READ, self._heard)
        self._say(
            {
                "protocol": PROTOCOL,
                "pid": os.getpid(),
                "running": self._wards.describe(),
                "ended": self._unheard,
                "samples": self._wards.samples(),
                "cgroup": None if self._wards.groups is None else str(self._wards.groups.folder),
            }
        )

    def _use_groups(self, root: Any) -> None:
        """Put new executions into control groups below `root`; those that run stay where they are."""
        if isinstance(root, str) and root not in self._groups:
            # As systemd writes a path as a name: whoever reads it there knows whose it is.
            name = "kokino" + str(self._folder).replace("-", r"\x2d").replace("/", "-")
            groups = Groups(Path(root), name, log)
            if groups.open():
                self._groups[root] = groups
        self._wards.groups = self._groups.get(root)

    def _part(self) -> None:
        if self._broker is None:
            return
        log(f"broker {self._broker.peer_pid} is gone; {len(self._wards)} executions run")
        self._selector.unregister(self._broker.socket)
        self._broker.close()
        self._broker = None
        self._wards.forget_requests()
        if not self._is_ending:
            self._hold_until = time.monotonic() + self._hold

    def _heard(self, events: int) -> None:
        broker = self._broker
        if broker is None:
            return
        if events & selectors.EVENT_WRITE:
            broker.flush()
        for message in self._hear(broker):
            try:
                self._obey(message)
            except (KeyError, TypeError):  # a fault of the broker's must not end what runs well
                log(f"broker {broker.peer_pid} sent what makes no sense:\n{traceback.format_exc()}")
                broker.hang_up()
        if broker.is_open():
            self._watch(broker)
        else:
            self._part()

    def _hear(self, peer: Lines) -> list[dict[str, Any]]:
        try:
            return peer.receive()
        except ValueError as error:
            log(f"pid {peer.peer_pid} does not speak the protocol: {error}")
            peer.hang_up()
            return []

    def _watch(self, broker: Lines) -> None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if broker.has_unsent else 0)
        self._selector.modify(broker.socket, wanted, self._heard)

    def _say(self, message: dict[str, Any]) -> None:
        if self._broker is not None:
            self._broker.send(message)
            self._watch(self._broker)

    # -- requests

    def _obey(self, message: dict[str, Any]) -> None:
        if message["do"] == "heard":
            self._unheard.pop(message["id"], None)
            return
        request: int = message["request"]
        match message["do"]:
            case "start":
                self._start(message["launch"], request)
            case "stop":
                self._wards.stop(message["id"], message["signal"], message["grace"])
                self._answer(request, {})
            case "end":
                self._answer(request, {})
                self._end_all("asked by the broker")
            case other:
                self._answer(request, {"error": f"the warden does not know how to {other}"})

    def _start(self, launch: Any, request: int) -> None:
        if self._is_ending:
            self._answer(request, {"error": "the warden is ending its executions and starts no more"})
        elif launch["id"] in self._wards:
            self._answer(request, {"error": f"execution {launch['id']!r} is running already"})
        else:
            self._unheard.pop(launch["id"], None)  # of an earlier try: whoever asks for another one knows
            self._wards.start(launch, request)

    def _answer(self, request: int, answer: dict[str, Any]) -> None:
        self._say({"request": request, **answer})

    def _tell_samples(self) -> None:
        # Not to a broker that does not read: what is unsent would grow for as long as it hangs.
        if self._broker is not None and not self._broker.has_unsent:
            self._say({"event": "samples", "samples": self._wards.samples()})

    def _tell_end(self, id: str, ended: EndedFields) -> None:
        # What was handed to a connection may never arrive: the broker on its other end may be dying.
        self._unheard[id] = ended
        self._say({"event": "ended", "id": id, **ended})


def log(text: str) -> None:
    """Add a line to the log, with the time."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    os.write(2, f"{now} warden {os.getpid()}: {text}\n".encode())


def main(folder: Path, hold: float) -> int:
    """Serve `folder` from the background; return the exit status of the process that was called."""
    os.close(os.pidfd_open(os.getpid()))  # OSError below Linux 5.3: said at once, not at the first stop
    # Keepers hold it too: it is free when the last tree of an earlier warden is empty, however that one died.
    lock = os.open(folder / "warden.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return TAKEN
    listener = _listen(folder / "warden.sock")
    if os.fork() == 0:
        _serve(folder, listener, lock, hold)
    return 0


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # of a warden that was killed: a living one has the lock
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(16)
    listener.setblocking(False)
    return listener


def _serve(folder: Path, listener: socket.socket, lock: int, hold: float) -> NoReturn:
    try:
        _detach(folder / "warden.log")
        linux.set_name("kokino-warden")
        linux.become_subreaper()
        linux.run_first()
        Warden(folder, listener, lock, hold).serve()
        log("all has ended")
    except BaseException:  # noqa: BLE001 - it goes to the log; the keepers end their trees
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        (folder / "warden.sock").unlink(missing_ok=True)
        os._exit(0)


def _detach(log_file: Path) -> None:
    os.setsid()
    os.chdir("/")
    begin_anew = os.O_TRUNC if log_file.exists() and log_file.stat().st_size > LOG_LIMIT else 0
    nothing = os.open(os.devnull, os.O_RDWR)
    target = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | begin_anew, 0o600)
    for descriptor, source in ((0, nothing), (1, nothing), (2, target)):
        os.dup2(source, descriptor)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2])))
