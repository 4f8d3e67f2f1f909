"""A warden of the test's own, and small Python programs for it to run."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

from kokino.process import tree
from kokino.process.client import Warden
from kokino.process.model import Ended, Launch, Started

#: Far longer than anything here takes, in seconds.
PATIENCE = 20

#: Says its pid, then sleeps through everything but SIGKILL.
DEAF = """
    import os, signal, time
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    print(os.getpid(), flush=True)
    while True:
        time.sleep(60)
"""

#: Exits with code argv[2] on signal argv[1].
HEEDS = """
    import os, signal, sys, time
    number, code = map(int, sys.argv[1:])
    signal.signal(number, lambda *_: os._exit(code))
    print("up", flush=True)
    time.sleep(60)
"""

#: Leaves a child that forked twice, with a session of its own, no environment and no stream; then does LAST.
DAEMON = """
    import os, signal, sys, time
    print("cli", flush=True)
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.write(write, f"{os.getpid()}\\n".encode())
            os.closerange(0, 3)
            os.execve(sys.executable, ["innocent", "-I", "-S", "-c", "import time; time.sleep(60)"], {})
        os._exit(0)
    daemon = os.read(read, 100).decode()
    os.wait()  # the process between, which a stop would find and count too
    print(daemon, flush=True)
    LAST
"""


async def until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


@dataclass
class Box:
    """One runtime directory, the connections made to it and the files of its executions."""

    folder: Path
    connections: list[Warden] = field(default_factory=list)
    started: list[Started] = field(default_factory=list)

    async def attach(self, hold: timedelta = timedelta(seconds=30)) -> Warden:
        """Connect to the warden of this box, which is started at need."""
        warden = await Warden.attach(self.folder / "run", hold=hold)
        self.connections.append(warden)
        return warden

    def launch(self, id: str, script: str, *arguments: str) -> Launch:
        """A launch of a Python script with files of its own."""
        return Launch(
            id=id,
            argv=(sys.executable, "-I", "-S", "-c", dedent(script), *arguments),
            env={"PATH": os.defpath},
            cwd=self.folder,
            stdin=None,
            stdout=self.folder / f"{id}.out",
            stderr=self.folder / f"{id}.err",
            exit_file=self.folder / f"{id}.exit",
            grace=timedelta(seconds=PATIENCE),
        )

    async def start(self, warden: Warden, launch: Launch) -> Started:
        """Start it and remember its processes."""
        started = await warden.start(launch)
        self.started.append(started)
        return started

    async def run(self, warden: Warden, launch: Launch) -> Ended:
        """Start it and see it through."""
        await self.start(warden, launch)
        return await ended(warden, launch.id)

    async def says(self, launch: Launch, text: str) -> None:
        """Return once `text` stands in the standard output."""
        await until(lambda: launch.stdout.exists() and text in launch.stdout.read_text())

    def log(self) -> str:
        """What the warden wrote."""
        return (self.folder / "run" / "warden.log").read_text()


async def ended(warden: Warden, id: str) -> Ended:
    """The end of an execution, or a failed test."""
    async with asyncio.timeout(PATIENCE):
        return await warden.ended(id)


def at_once(launch: Launch) -> Launch:
    """The same with graces too short to wait for."""
    short = timedelta(milliseconds=50)
    return replace(launch, grace=short, leftover_grace=short)


def pids_in(text: str) -> list[int]:
    """The pids that scripts have printed, one a line."""
    return [int(line) for line in text.split() if line.isdigit()]


def is_alive(pid: int) -> bool:
    """True while the process runs; a zombie does not."""
    stat = tree.read_stat(pid)
    return stat is not None and stat.is_alive
