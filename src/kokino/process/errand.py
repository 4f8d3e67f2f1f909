"""Start a program for a moment and read what it says; under the warden, like all that a CLI may start."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from kokino.process.client import Warden
from kokino.process.model import Ended, Launch

#: What it may take: some CLIs are a whole Node program. In bytes, processes, and bytes.
MEMORY, PROCESSES, OUTPUT = 2 << 30, 100, 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What is started. Two with the same name are never out at the same time."""

    #: Names its processes and its folder.
    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    #: How long it may take, in seconds.
    patience: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of it."""

    ended: Ended
    stdout: bytes
    stderr: bytes


async def send(errand: Errand, warden: Warden, spool: Path) -> Report:
    """Start it, wait for its end, and leave neither a process of its tree nor a file of it behind.

    Raises `TimeoutError`, `ProcessError` where it cannot be started, and `OSError` for the spool.
    """
    folder = spool / errand.name
    launch = _launch(errand, folder)
    try:
        await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        ended = await _ended(launch, warden, errand.patience)
        return Report(
            ended=ended,
            stdout=await asyncio.to_thread(_read, launch.stdout),
            stderr=await asyncio.to_thread(_read, launch.stderr),
        )
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _ended(launch: Launch, warden: Warden, patience: float) -> Ended:
    await warden.start(launch)
    try:
        async with asyncio.timeout(patience):
            return await warden.ended(launch.id)
    finally:
        await warden.stop(launch.id, grace=timedelta(0))
        await warden.ended(launch.id)


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _launch(errand: Errand, folder: Path) -> Launch:
    return Launch(
        id=errand.name,
        argv=errand.argv,
        env=errand.env,
        cwd=errand.cwd,
        stdin=None,
        stdout=folder / "stdout",
        stderr=folder / "stderr",
        exit_file=folder / "exit",
        memory_bytes=MEMORY,
        processes=PROCESSES,
        spool_bytes=OUTPUT,
    )
