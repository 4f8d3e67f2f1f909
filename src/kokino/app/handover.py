"""From one broker to the next in the same process: what is handed over, how, and whether it may be."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import IO, Any, NoReturn, Self

from kokino.app.server import CannotListen
from kokino.app.standing import Standing
from kokino.errors import KokinoError
from kokino.executions.bound import Bound, Tie

#: Carries the handover to the next broker, which takes it away before anybody can inherit it. Of what may be
#: long it holds the number of an open file: the kernel takes no variable of 128 KiB.
HANDOVER_VARIABLE = "KOKINO_HANDOVER"
#: Carries the standing of the broker that asks to the program that checks what would come after it.
STANDING_VARIABLE = "KOKINO_STANDING"
#: What a broker is told by. They wait while it changes hands, so that none ends the next one unprepared.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
#: How long the check of what would come next may take, in seconds. It loads the whole program once, which
#: takes one second and, on a machine that is overwhelmed, a minute; nothing has been let go of meanwhile.
PATIENCE = 120.0


class RestartRefused(KokinoError):
    """What would come next could not go on; the broker that runs stays."""

    status = 409
    code = "restart_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What the next broker gets: the open socket, and what it will find of the executions that ran."""

    listener: socket.socket
    #: How many go on.
    executions: int
    #: Those that ended with the earlier broker.
    lost: tuple[Bound, ...] = ()

    @classmethod
    def taken(cls, environment: MutableMapping[str, str]) -> Self | None:
        """What an earlier broker has left in `environment`, where it is no more after this."""
        left = environment.pop(HANDOVER_VARIABLE, None)
        if left is None:
            return None
        try:
            fields = json.loads(left)
            listener = socket.socket(fileno=fields["listener"])
            listener.set_inheritable(False)
            listener.setblocking(False)
            # A broker of an earlier version has named none, or named them here.
            named = _carried(fields["carrier"]) if "carrier" in fields else fields.get("lost", ())
            lost = tuple(_bound(one) for one in named)
            return cls(listener=listener, executions=fields["executions"], lost=lost)
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise CannotListen(
                f"{HANDOVER_VARIABLE} holds no open socket ({error}): it is for brokers only, unset it"
            ) from error

    def leave(self, environment: MutableMapping[str, str]) -> None:
        """Put it where the next broker in this process will find it."""
        self.listener.set_inheritable(True)
        lost = [asdict(bound) for bound in self.lost]
        fields = {"listener": self.listener.fileno(), "executions": self.executions, "carrier": _carry(lost)}
        environment[HANDOVER_VARIABLE] = json.dumps(fields)


def _carry(lost: list[dict[str, Any]]) -> int:
    """The number of an open file that holds them, for the next program in this process."""
    with _carrier() as file:
        file.write(json.dumps(lost).encode())
        file.flush()
        number = os.dup(file.fileno())
    os.set_inheritable(number, True)
    return number


def _carrier() -> IO[bytes]:
    """A file without a name; in memory, where the system can: the disk may be full."""
    try:
        return os.fdopen(os.memfd_create("kokino-handover"), "w+b")
    except (AttributeError, OSError):
        return tempfile.TemporaryFile()


def _carried(number: int) -> Any:
    with os.fdopen(number, "rb") as file:
        file.seek(0)
        return json.load(file)


def _bound(fields: Mapping[str, str]) -> Bound:
    return Bound(execution_id=fields["execution_id"], agent_id=fields["agent_id"], by=Tie(fields["by"]))


async def check_next(standing: Standing) -> None:
    """Load the program and the configuration as they are now on the disk, in a process of their own.

    Raises `RestartRefused` with what the next broker would fail by.
    """
    process = await asyncio.create_subprocess_exec(
        *command(),
        "--check",
        env={**os.environ, STANDING_VARIABLE: standing.dumps()},
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            _, said = await process.communicate()
    except TimeoutError as error:
        raise RestartRefused(f"checking the configuration took longer than {PATIENCE:g} s") from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        reason = said.decode(errors="replace").strip().removeprefix("kokino: ")
        raise RestartRefused(reason or f"`kokino serve --check` ended with {process.returncode}")


def command() -> list[str]:
    """What started this process, as a list of arguments."""
    return [sys.executable, *sys.orig_argv[1:]]


def hold_signals() -> None:
    """Let signals wait until the next broker listens to them; they survive what comes between."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def hear_signals() -> None:
    """Take the signals that have waited, and those to come."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def go_on(handover: Handover, unheard: Iterable[signal.Signals]) -> NoReturn:
    """Become the next broker: the same process, the program anew. No loop and no thread may run any more.

    `unheard` are signals that came while the last one left; the next one gets them.
    """
    hold_signals()
    for number in unheard:
        os.kill(os.getpid(), number)
    handover.leave(os.environ)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, command())  # noqa: S606 - our own program, by its own arguments
