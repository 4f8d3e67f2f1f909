"""A broker in a process of its own, as users run it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import cast

import httpx

from kokino.config import FILE_NAME

#: Where agents work in a benchmark. The benchmark's own folder lies in a repository, where git looks at every
#: execution before and after: that is another question.
NO_REPOSITORY = gettempdir()
ANSWERS = b"Kokino answers at "
KOKINO = Path(sys.executable).with_name("kokino")


@asynccontextmanager
async def served(home: Path, toml: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose paths are the broker's."""
    await asyncio.to_thread(_configure, home, toml)
    # A socket's path must be short, so its folder is one of the system's temporary ones.
    with TemporaryDirectory(prefix="kokino-") as runtime:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "XDG_RUNTIME_DIR": runtime,
        }
        process = await asyncio.create_subprocess_exec(
            str(KOKINO), "serve", "--home", str(home), "--port", "0",
            env=environment, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE,
        )  # fmt: skip
        said = cast(asyncio.StreamReader, process.stderr)
        draining = None
        try:
            url = await _url(said)
            draining = asyncio.create_task(said.read())
            async with httpx.AsyncClient(base_url=url, timeout=300, limits=httpx.Limits()) as http:
                yield http
        finally:
            process.send_signal(signal.SIGINT)
            await process.wait()
            if draining is not None:
                await draining


def _configure(home: Path, toml: str) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / FILE_NAME).write_text(toml, encoding="utf-8")


async def _url(said: asyncio.StreamReader) -> str:
    lines = []
    while line := await said.readline():
        if ANSWERS in line:
            return line.partition(ANSWERS)[2].decode().strip()
        lines.append(line.decode(errors="replace"))
    raise RuntimeError("the broker did not start:\n" + "".join(lines))
