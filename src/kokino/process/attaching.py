"""How a broker gets its warden: connect to the one that lives, or start one."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from kokino.errors import ProcessError
from kokino.process import warden
from kokino.process.linux import LONGEST_SOCKET_PATH
from kokino.process.watching import gone

#: How long a warden may take to answer a hello before it counts as stuck.
PATIENCE = timedelta(seconds=10)
#: How long what an earlier warden left may take to end; the keepers' grace is seconds.
LONGEST_WAIT = timedelta(minutes=1)
#: Between two tries to start a warden, in seconds: at first because two brokers may race.
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
#: A hello's answer lists every execution that runs.
_LONGEST_LINE = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An open connection to a warden that has accepted us."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    #: The warden's process.
    pid: int
    #: What runs there already: the fields of `Started` by execution id.
    running: Mapping[str, Mapping[str, Any]]
    #: What ended while no broker was there: the fields of `Ended` by execution id.
    ended: Mapping[str, Mapping[str, Any]]
    #: What the trees were last seen to take: the fields of `Sample` by execution id.
    samples: Mapping[str, Mapping[str, Any]]
    #: The folder of its executions' control groups; None where trees are walked alone.
    cgroup: Path | None


async def connect(runtime_dir: Path, hold: timedelta, cgroup: Path | None) -> Connection:
    """See `kokino.process.client.Warden.attach`."""
    if sys.platform != "linux":
        raise ProcessError("executions need Linux for now: the warden is built on its subreapers and pidfds")
    socket_path = prepare(runtime_dir)
    try:
        async with asyncio.timeout(LONGEST_WAIT.total_seconds()):
            return await _connect(socket_path, hold, cgroup)
    except TimeoutError as error:
        raise ProcessError(
            f"no warden can serve {runtime_dir}: one that died there has left executions that do not end; "
            f"see {socket_path.with_name('warden.log')}"
        ) from error


async def _connect(socket_path: Path, hold: timedelta, cgroup: Path | None) -> Connection:
    root = None if cgroup is None else str(cgroup)
    hello = {"do": "hello", "hold": hold.total_seconds(), "cgroup": root}
    pause = FIRST_PAUSE
    while True:
        connection = await _try(socket_path, hello)
        if connection is not None:
            return connection
        if not await _spawn(socket_path.parent, hold):
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)


def prepare(runtime_dir: Path) -> Path:
    """Make the directory and return the path of its socket; raises ProcessError when it is unfit."""
    folder = runtime_dir.absolute()
    path = folder / "warden.sock"
    if (size := len(os.fsencode(path))) > LONGEST_SOCKET_PATH:
        raise ProcessError(
            f"{path} is too long for a socket: {size} bytes, {LONGEST_SOCKET_PATH} at most; "
            "configure a shorter runtime directory"
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ProcessError(f"the runtime directory {folder} cannot be made: {error.strerror}") from error
    about = folder.stat()
    if about.st_uid != os.geteuid():
        raise ProcessError(
            f"the runtime directory {folder} belongs to uid {about.st_uid}, not to {os.geteuid()}"
        )
    if stat.S_IMODE(about.st_mode) & 0o077:
        raise ProcessError(f"others may enter the runtime directory {folder}; run: chmod 700 {folder}")
    return path


async def _try(path: Path, hello: Mapping[str, Any]) -> Connection | None:
    """One attempt; None when no warden lives there (any more)."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=_LONGEST_LINE)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    connection = None
    try:
        answer = await _hello(reader, writer, hello)
        connection = _accepted(answer, reader, writer)
    finally:
        if connection is None:
            await _close(writer)
    if answer.get("is_ending"):
        # Only when it is gone is it sure that nothing of the executions it ran is alive.
        await gone(answer["pid"])
    return connection


async def _hello(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hello: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The warden's answer; empty when it went away instead."""
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            writer.write(json.dumps(hello).encode() + b"\n")
            line = await reader.readline()
            answer: Mapping[str, Any] = json.loads(line) if line else {}
    except TimeoutError as error:
        raise ProcessError(f"the warden does not answer within {PATIENCE.total_seconds():g} s") from error
    except (ConnectionError, ValueError):  # half an answer: it was killed while it wrote
        return {}
    return answer


def _accepted(
    answer: Mapping[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Connection | None:
    if not answer or answer.get("is_ending"):
        return None
    if "refused" in answer:
        raise ProcessError(f"the warden with pid {answer['pid']} refuses this broker: {answer['refused']}")
    if answer["protocol"] != warden.PROTOCOL:
        raise ProcessError(
            f"the warden with pid {answer['pid']} is of another version (protocol {answer['protocol']}, "
            f"this is {warden.PROTOCOL}); let it end its executions: kill {answer['pid']}"
        )
    return Connection(
        reader=reader,
        writer=writer,
        pid=answer["pid"],
        running=answer["running"],
        ended=answer["ended"],
        samples=answer["samples"],
        cgroup=None if answer["cgroup"] is None else Path(answer["cgroup"]),
    )


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _spawn(folder: Path, hold: timedelta) -> bool:
    """Start a warden, which returns from the background once it listens; False when another was faster."""
    # -I and -S: nothing of the broker's site, path or environment variables is read; it starts in ~20 ms.
    options = ("-I", "-S", "-X", "utf8")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *options,
        warden.__file__,
        str(folder),
        str(hold.total_seconds()),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode not in {0, warden.TAKEN}:
        reason = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise ProcessError(f"no warden could be started in {folder}: {reason}")
    return process.returncode == 0
