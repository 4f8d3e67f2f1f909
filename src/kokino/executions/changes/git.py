"""Run git in somebody's repository: nothing that is configured there is run, and nothing is written there."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

#: The longest that one look may take, in seconds: it holds up an execution, so a huge tree is not looked at.
#: A look is several runs of git.
PATIENCE = 10.0
#: The most that git may say, in bytes: it is held in memory, for each who asks.
LONGEST_ANSWER = 64 * 1024 * 1024
#: Nothing that a repository configures is run, and nothing is tidied up behind its back. Its filters have
#: names of its own choice: whoever adds files or checks them out has to switch them off.
OPTIONS = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0")
#: Without a remote that could be asked for what a partial clone lacks: some are reached by a command.
QUIET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "none", "LC_ALL": "C"}


class GitFailed(Exception):
    """git said no, or took too long."""


class TooMuch(GitFailed):
    """git said more than we take into memory."""


def is_inside(cwd: Path) -> bool:
    """Whether a folder is in a repository, told without starting git: most executions run in one, not all."""
    return any((folder / ".git").exists() for folder in (cwd, *cwd.parents))


@asynccontextmanager
async def patiently() -> AsyncIterator[None]:
    """One look: whatever an agent has made of its repository, it is no fault of its execution's."""
    try:
        async with asyncio.timeout(PATIENCE):
            yield
    except TimeoutError as error:
        raise GitFailed(f"git took longer than {PATIENCE:g} s") from error
    except (OSError, ValueError) as error:
        raise GitFailed(f"the repository cannot be read: {error}") from error


async def run(cwd: Path, *arguments: str, environment: Mapping[str, str]) -> bytes:
    """What ``git ARGUMENTS`` says in `cwd`. Raises `GitFailed` with its last line."""
    # Files, not pipes: one that is full keeps asyncio waiting for a process that was killed.
    with TemporaryFile() as out, TemporaryFile() as err:
        code = await _exit_code(cwd, arguments, environment, out, err)
        said, reason = [await asyncio.to_thread(_all_of, file, arguments[0]) for file in (out, err)]
    if code != 0:
        last = reason.decode(errors="replace").strip().rpartition("\n")[2]
        raise GitFailed(f"git {arguments[0]}: {last or f'exit code {code}'}")
    return said


async def _exit_code(
    cwd: Path, arguments: Sequence[str], environment: Mapping[str, str], out: IO[bytes], err: IO[bytes]
) -> int:
    try:
        process = await asyncio.create_subprocess_exec(
            "git",
            *OPTIONS,
            *arguments,
            cwd=cwd,
            env={**environment, **QUIET},
            # Its own group, so that what git starts ends with it.
            start_new_session=True,
            stdin=DEVNULL,
            stdout=out,
            stderr=err,
        )
    except OSError as error:
        raise GitFailed(f"git cannot be run: {error.strerror}") from error
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _all_of(file: IO[bytes], command: str) -> bytes:
    if (size := file.seek(0, os.SEEK_END)) > LONGEST_ANSWER:
        raise TooMuch(f"git {command} says {size:,} bytes, and {LONGEST_ANSWER:,} are the most that we take")
    file.seek(0)
    return file.read()
