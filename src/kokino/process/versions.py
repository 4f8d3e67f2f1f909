"""Which version of a program is on the disk: asked once for each binary, under the warden.

A CLI that hangs there holds nobody up but who waits for the answer, and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import structlog

from kokino.errors import ProcessError
from kokino.process.client import Warden
from kokino.process.errand import Errand, send
from kokino.tasks import Tasks

log = structlog.get_logger(__name__)

#: The longest that a CLI may take to tell its version, in seconds; the slowest known takes two.
PATIENCE = 15.0
#: A version as all of them write it, wherever it stands: ``codex-cli 0.169.0``, ``2.1.197 (Claude Code)``.
VERSION = re.compile(rb"\d+\.\d+(?:\.\d+)?(?:[-+.][0-9A-Za-z.]+)?")

#: A binary as it is on the disk: one that was updated is another one.
Binary = tuple[tuple[str, ...], float, int]


@dataclass(slots=True)
class Versions:
    """What each binary has told. One that told nothing is asked again the next time."""

    warden: Warden
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

    async def stop(self) -> None:
        """End what is being asked."""
        await self._tasks.stop()

    async def _ask(self, binary: Binary, env: Mapping[str, str], cwd: Path) -> str | None:
        name = f"version-{sha256(repr(binary).encode()).hexdigest()[:16]}"
        errand = Errand(name=name, argv=(*binary[0], "--version"), env=env, cwd=cwd, patience=PATIENCE)
        try:
            report = await send(errand, self.warden, self.spool)
        except (ProcessError, OSError, TimeoutError) as error:
            log.info("a CLI does not tell its version", command=binary[0][0], reason=str(error))
            return None
        finally:
            del self._asked[binary]
        if report.ended.code == 0 and (version := version_in(report.stdout)):
            self._told[binary] = version
        return self._told.get(binary)


def version_in(said: bytes) -> str | None:
    """The first version in what a CLI wrote."""
    found = VERSION.search(said)
    return found[0].decode() if found else None


def _binary(command: tuple[str, ...], env: Mapping[str, str], cwd: Path) -> Binary | None:
    program = command[0] if "/" not in command[0] else str(cwd / command[0])
    found = shutil.which(program, path=env.get("PATH", os.defpath))
    if found is None:
        return None
    try:
        about = Path(found).stat()
    except OSError:  # it is being replaced in this very moment
        return None
    return command, about.st_mtime, about.st_ino
