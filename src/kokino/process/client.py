"""The broker's end of the warden: start, stop and hear of the end of executions' processes."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import structlog

from kokino.errors import ProcessError
from kokino.process.attaching import Connection, connect
from kokino.process.failures import (
    CommandNotFound,
    DirectoryNotFound,
    NotPermitted,
    WardenDied,
    failure_of,
)
from kokino.process.model import Ended, Launch, Sample, Started, read_exit_file
from kokino.process.watching import gone
from kokino.tasks import AFTER_FAILURE

log = structlog.get_logger(__name__)

__all__ = [
    "CommandNotFound",
    "DirectoryNotFound",
    "Ended",
    "Launch",
    "NotPermitted",
    "Sample",
    "Started",
    "Warden",
    "WardenDied",
    "gone",
    "read_exit_file",
]

#: Ends that are remembered for those who ask late.
REMEMBERED = 1000
#: How long a close waits for one that is being started, in seconds: it is started in a fraction of that.
LONGEST_REPLACING = 10.0
#: How long children are kept without a broker.
HOLD = timedelta(seconds=30)


class Warden:
    """A connection to one runtime directory's warden: made by `attach`, ended by `close` or `release`.

    A warden that dies is replaced, as soon as its keepers have ended what it ran.
    """

    def __init__(self, connection: Connection, again: Callable[[], Awaitable[Connection]]) -> None:
        #: Set from the death of a warden, which nobody asked for, until another one serves.
        self.died = asyncio.Event()
        #: What ran when a warden died: its keepers leave word of these.
        self._orphans: dict[str, Started] = {}
        self._requests = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._ends: dict[str, asyncio.Future[Ended]] = {}
        self._is_leaving = False
        self._again = again
        self._replacing: asyncio.Task[None] | None = None
        self._take(connection)

    def _take(self, connection: Connection) -> None:
        #: The warden's own process.
        self.pid = connection.pid
        #: The folder of its executions' control groups; None where trees are walked alone.
        self.cgroup = connection.cgroup
        self._reader = connection.reader
        self._writer = connection.writer
        self._running: dict[str, Started] = {}
        for execution, started in connection.running.items():
            self._running[execution] = Started.of(started)
            self._ends[execution] = _future()
        self._samples = {id: Sample(**fields) for id, fields in connection.samples.items()}
        for execution, ended in connection.ended.items():
            if execution not in connection.running:  # else it is the end of an earlier try
                self._note_end(execution, ended)
        self.died.clear()
        self._listening = asyncio.create_task(self._listen(), name="warden connection")

    @classmethod
    async def attach(cls, runtime_dir: Path, *, hold: timedelta = HOLD, cgroup: Path | None = None) -> Self:
        """Connect to the warden that lives in `runtime_dir`, or start one.

        `hold` is how long it keeps its children when this connection closes. `cgroup` is a control group in
        which each execution gets one of its own; see `kokino.process.cgroup.find_delegated`. Raises
        ProcessError when another broker holds the warden, the directory cannot be used, or the system is not
        Linux.
        """
        return cls(await connect(runtime_dir, hold, cgroup), lambda: connect(runtime_dir, hold, cgroup))

    @property
    def running(self) -> Mapping[str, Started]:
        """The executions whose tree is alive, those that an earlier broker started too."""
        return MappingProxyType(self._running)

    @property
    def fault(self) -> str | None:
        """Why nothing can be started now, for a person; None while the warden serves."""
        if self._replacing is not None and self._replacing.done() and not self._replacing.cancelled():
            return (
                f"it died and no other could be started ({self._replacing.exception()!r}); restart the broker"
            )
        if self.died.is_set():
            return "it died, another one is being started"
        if self._listening.done():
            return "the broker hears it no longer; restart the broker"
        return None

    @property
    def samples(self) -> Mapping[str, Sample]:
        """What each running execution's tree took at the warden's last look; none of those just started."""
        return MappingProxyType(self._samples)

    async def start(self, launch: Launch) -> Started:
        """Start a CLI; returns once its program runs.

        Raises CommandNotFound, DirectoryNotFound, NotPermitted, WardenDied, or a plain ProcessError. When the
        caller is cancelled meanwhile, what was started is killed. After the death of a warden it waits for
        the next one.
        """
        if self._replacing is not None:
            await asyncio.shield(self._replacing)
        if fault := launch.fault():
            raise ProcessError(f"execution {launch.id!r} cannot be started: {fault}")
        if launch.id in self._ends and not self._ends[launch.id].done():
            raise ProcessError(f"execution {launch.id!r} is running already")
        self._ends[launch.id] = end = _future()
        try:
            answer = await self._ask("start", launch=launch.fields())
        except asyncio.CancelledError:
            with suppress(WardenDied):
                self._send("stop", id=launch.id, signal=signal.SIGKILL, grace=0)
            raise
        if "started" in answer:
            return Started.of(answer["started"])
        if self._ends.get(launch.id) is end:
            del self._ends[launch.id]
        raise failure_of(launch, answer)

    async def ended(self, id: str) -> Ended:
        """Return when the execution's whole tree is empty.

        When the warden dies meanwhile, the keeper ends the tree, and its exit file tells how; WardenDied is
        raised only when there is none. Raises ProcessError for an execution that this warden does not know.
        """
        if id not in self._ends:
            raise ProcessError(f"the warden knows no execution {id!r}")
        try:
            return await asyncio.shield(self._ends[id])
        except WardenDied:
            if id not in self._orphans:
                raise
            return await self._last_word(self._orphans[id])

    async def stop(
        self, id: str, *, signal: signal.Signals = signal.SIGTERM, grace: timedelta | None = None
    ) -> None:
        """Start to end a tree: `signal` to all of it, `grace` later SIGKILL; `ended` tells when it is empty.

        Stopping twice is stopping once, except that a shorter grace hurries. What has ended or never ran is
        left alone. `grace` None is the launch's own.
        """
        seconds = None if grace is None else grace.total_seconds()
        with suppress(WardenDied):  # then every keeper is ending its tree already
            await self._ask("stop", id=id, signal=int(signal), grace=seconds)

    async def answered(self) -> None:
        """Return when nothing that was asked of the warden waits for its answer."""
        while self._answers:
            await asyncio.wait(list(self._answers.values()))
            await asyncio.sleep(0)  # who asked takes the answer now

    async def close(self) -> None:
        """End every tree and the warden itself; returns when it is gone."""
        self._is_leaving = True
        await self._give_up_replacing()
        with suppress(WardenDied):
            await self._ask("end")
        await self._listening
        await gone(self.pid)
        await self._hang_up()

    async def release(self) -> None:
        """Leave the children to the next broker, which has the hold time to attach."""
        self._is_leaving = True
        await self._give_up_replacing()
        await self._hang_up()

    async def _give_up_replacing(self) -> None:
        if self._replacing is not None:
            # One that is being started would be left behind, without anybody who could end it.
            await asyncio.wait({self._replacing}, timeout=LONGEST_REPLACING)
        if self._replacing is not None:
            self._replacing.cancel()

    async def _last_word(self, started: Started) -> Ended:
        await gone(started.keeper_pid, started.keeper_started_at_ticks)
        ended = read_exit_file(started.exit_file)
        if ended is None:
            raise WardenDied("the warden has died and its keeper too; nobody saw how this execution ended")
        return ended

    async def _hang_up(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
        await self._listening

    async def _ask(self, do: str, **fields: Any) -> dict[str, Any]:
        request = self._send(do, **fields)
        answer: asyncio.Future[dict[str, Any]] = _future()
        self._answers[request] = answer
        try:
            return await answer
        finally:
            self._answers.pop(request, None)

    def _send(self, do: str, **fields: Any) -> int:
        if self._listening.done():
            raise WardenDied("the connection to the warden is closed")
        request = next(self._requests)
        self._writer.write(json.dumps({"do": do, "request": request, **fields}).encode() + b"\n")
        return request

    async def _listen(self) -> None:
        try:
            with suppress(OSError):
                while line := await self._reader.readline():
                    self._heard(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            # Killed while it wrote, it leaves half a message; and what cannot be read can only be asked anew.
            if not self._is_leaving:
                log.warning("the warden broke off; connecting again", reason=repr(error))
        except asyncio.CancelledError:
            self._is_leaving = True  # the loop itself ends: nothing can be started in it any more
            raise
        finally:
            # Whatever ended it: who waits for an answer or for an end would wait for ever.
            self._hung_up()

    def _hung_up(self) -> None:
        if not self._is_leaving:
            self._writer.close()
            self._orphans |= self._running
            self.died.set()
            self._replacing = asyncio.create_task(self._replace(), name="another warden")
        self._running.clear()
        self._samples.clear()
        died = WardenDied("the warden has died; its keepers end what it ran")
        unsettled: list[asyncio.Future[Any]] = [*self._answers.values(), *self._ends.values()]
        for future in unsettled:
            _settle(future, died)

    async def _replace(self) -> None:
        """Get another warden, however long it takes: without one nothing can run."""
        while True:
            try:
                connection = await self._again()
            except (ProcessError, OSError) as error:
                log.error("there is no warden; trying again", reason=str(error))  # noqa: TRY400
                await asyncio.sleep(AFTER_FAILURE)
            else:
                log.warning("the warden had died; another one serves", pid=connection.pid)
                self._take(connection)
                self._replacing = None
                return

    def _heard(self, message: dict[str, Any]) -> None:
        # Here and not in `start`: an execution may end in the same breath, and its caller may be cancelled.
        if "started" in message:
            self._running[message["id"]] = Started.of(message["started"])
            self._ends.setdefault(message["id"], _future())
        elif "failed" in message:
            _settle(self._ends.get(message["id"]), ProcessError(f"execution {message['id']!r} never ran"))
        elif message.get("event") == "ended":
            self._note_end(message["id"], message)
        elif message.get("event") == "samples":
            self._samples = {id: Sample(**fields) for id, fields in message["samples"].items()}
        answer = self._answers.get(message.get("request", 0))
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _note_end(self, id: str, message: Mapping[str, Any]) -> None:
        ended = Ended.of({field.name: message[field.name] for field in dataclasses.fields(Ended)})
        self._running.pop(id, None)
        self._samples.pop(id, None)
        end = self._ends.setdefault(id, _future())
        if not end.done():
            end.set_result(ended)
        # Not to a warden that we are ending: it may be gone, and a failed write throws away what is unread.
        if not self._is_leaving:
            self._writer.write(json.dumps({"do": "heard", "id": id}).encode() + b"\n")
        settled = [each for each, future in self._ends.items() if future.done()]
        for forgotten in settled[:-REMEMBERED]:
            del self._ends[forgotten]


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


def _settle(future: asyncio.Future[Any] | None, error: ProcessError) -> None:
    """Fail a future that may have nobody who waits for it."""
    if future is not None and not future.done():
        future.set_exception(error)
        future.exception()  # asked once, so that asyncio does not complain of an error nobody saw
