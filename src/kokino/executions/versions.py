"""Which version of a CLI runs, for CLIs whose records do not tell it: asked once for each binary."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

#: The longest that a CLI may take to tell its version, in seconds; the slowest known takes two.
PATIENCE = 15.0
#: A version as all of them write it, wherever it stands: ``codex-cli 0.169.0``, ``2.1.197 (Claude Code)``.
VERSION = re.compile(rb"\d+\.\d+(?:\.\d+)?(?:[-+.][0-9A-Za-z.]+)?")

#: A binary as it is on the disk: one that was updated is another one.
Binary = tuple[tuple[str, ...], float, int]


@dataclass(slots=True)
class Versions:
    """What each binary has told, or is being asked."""

    _asked: dict[Binary, asyncio.Task[str | None]] = field(default_factory=dict)

    async def of(self, command: tuple[str, ...], env: Mapping[str, str], cwd: Path) -> str | None:
        """The version of the program behind `command`; None where it does not tell."""
        binary = _binary(command, env, cwd)
        if binary is None:
            return None
        if binary not in self._asked:
            self._asked[binary] = asyncio.create_task(
                _ask(command, env, cwd), name=f"version of {command[0]}"
            )
        return await asyncio.shield(self._asked[binary])

    async def stop(self) -> None:
        """End what is being asked."""
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)


def _binary(command: tuple[str, ...], env: Mapping[str, str], cwd: Path) -> Binary | None:
    program = command[0] if "/" not in command[0] else str(cwd / command[0])
    found = shutil.which(program, path=env.get("PATH", os.defpath))
    if found is None:
        return None
    about = Path(found).stat()
    return command, about.st_mtime, about.st_ino


async def _ask(command: tuple[str, ...], env: Mapping[str, str], cwd: Path) -> str | None:
    try:
        process = await asyncio.create_subprocess_exec(
            *command, "--version",
            env=env, cwd=cwd, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError:
        return None
    try:
        async with asyncio.timeout(PATIENCE):
            said, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            # Its launcher may have started a worker: the whole group goes.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    version = VERSION.search(said)
    return version[0].decode() if version and process.returncode == 0 else None
