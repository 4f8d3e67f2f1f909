"""Which version of a CLI runs, for CLIs whose records do not tell it: asked once for each binary.

It is asked in the background, after an execution has ended: a CLI that hangs holds nobody up. And under the
warden, like everything else that a CLI may start.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import structlog

from kokino.errors import ProcessError, StorageError
from kokino.executions import store
from kokino.executions.spool import Spool
from kokino.process.client import Warden
from kokino.process.model import Launch
from kokino.storage import Storage
from kokino.tasks import Tasks

log = structlog.get_logger(__name__)

#: The longest that a CLI may take to tell its version, in seconds; the slowest known takes two.
PATIENCE = 15.0
#: What it may take for that: some are a whole Node program. In bytes, processes, and bytes.
MEMORY, PROCESSES, OUTPUT = 2 << 30, 100, 1 << 20
#: A version as all of them write it, wherever it stands: ``codex-cli 0.169.0``, ``2.1.197 (Claude Code)``.
VERSION = re.compile(rb"\d+\.\d+(?:\.\d+)?(?:[-+.][0-9A-Za-z.]+)?")

#: A binary as it is on the disk: one that was updated is another one.
Binary = tuple[tuple[str, ...], float, int]


@dataclass(slots=True)
class Versions:
    """What each binary has told. One that told nothing is asked again after the next execution."""

    warden: Warden
    storage: Storage
    #: Below it each question has a folder while it is asked.
    spool: Path
    _told: dict[Binary, str] = field(default_factory=dict)
    _asked: dict[Binary, asyncio.Task[str | None]] = field(default_factory=dict)
    _tasks: Tasks = field(default_factory=Tasks)

    def known(self, command: tuple[str, ...], env: Mapping[str, str], cwd: Path) -> str | None:
        """The version of the program behind `command`, where it has told it before."""
        binary = _binary(command, env, cwd)
        return None if binary is None else self._told.get(binary)

    async def of(self, command: tuple[str, ...], env: Mapping[str, str], cwd: Path) -> str | None:
        """The version of the program behind `command`; None where it does not tell."""
        binary = _binary(command, env, cwd)
        if binary is None:
            return None
        if binary in self._told:
            return self._told[binary]
        if binary not in self._asked:
            asking = self._ask(binary, env, cwd)
            self._asked[binary] = self._tasks.start(asking, name=f"version of {command[0]}")
        return await asyncio.shield(self._asked[binary])

    def note(self, execution_id: str, command: tuple[str, ...], env: Mapping[str, str], cwd: Path) -> None:
        """Write the version down with an execution, as soon as it is known."""
        noting = self._note(execution_id, command, env, cwd)
        self._tasks.start(noting, name=f"version for {execution_id}")

    async def settled(self) -> None:
        """Return when nothing is asked any more."""
        await self._tasks.settled()

    async def stop(self) -> None:
        """End what is being asked."""
        await self._tasks.stop()

    async def _note(
        self, execution_id: str, command: tuple[str, ...], env: Mapping[str, str], cwd: Path
    ) -> None:
        version = await self.of(command, env, cwd)
        if version is None:
            return
        with suppress(StorageError):  # a database that is away has more to lose than this
            await self.storage.write(lambda conn: store.note_version(conn, execution_id, version))

    async def _ask(self, binary: Binary, env: Mapping[str, str], cwd: Path) -> str | None:
        name = f"version-{sha256(repr(binary).encode()).hexdigest()[:16]}"
        spool = Spool(self.spool / name)
        try:
            said = await self._said(_launch(name, binary[0], env, cwd, spool), spool)
        except (ProcessError, OSError, TimeoutError) as error:
            log.info("a CLI does not tell its version", command=binary[0][0], reason=str(error))
            return None
        finally:
            del self._asked[binary]
            await asyncio.to_thread(spool.remove)
        if version := VERSION.search(said):
            self._told[binary] = version[0].decode()
        return self._told.get(binary)

    async def _said(self, launch: Launch, spool: Spool) -> bytes:
        """What it wrote to standard output; nothing where it failed."""
        await asyncio.to_thread(spool.create, "")
        await self.warden.start(launch)
        try:
            async with asyncio.timeout(PATIENCE):
                ended = await self.warden.ended(launch.id)
        finally:
            await self.warden.stop(launch.id, grace=timedelta(0))
            await self.warden.ended(launch.id)
        return await asyncio.to_thread(spool.stdout.read_bytes) if ended.code == 0 else b""


def _launch(name: str, command: tuple[str, ...], env: Mapping[str, str], cwd: Path, spool: Spool) -> Launch:
    return Launch(
        id=name,
        argv=(*command, "--version"),
        env=env,
        cwd=cwd,
        stdin=None,
        stdout=spool.stdout,
        stderr=spool.stderr,
        exit_file=spool.exit,
        memory_bytes=MEMORY,
        processes=PROCESSES,
        spool_bytes=OUTPUT,
    )


def _binary(command: tuple[str, ...], env: Mapping[str, str], cwd: Path) -> Binary | None:
    program = command[0] if "/" not in command[0] else str(cwd / command[0])
    found = shutil.which(program, path=env.get("PATH", os.defpath))
    if found is None:
        return None
    about = Path(found).stat()
    return command, about.st_mtime, about.st_ino
