"""A control client: commands go to one tmux server, answers come back in their order."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

import structlog

from kokino.errors import ProcessError
from kokino.process.tmux.control import Exit, Parser, Reply, command_line

log = structlog.get_logger(__name__)

CHUNK = 64 * 1024
#: How long tmux may take for an answer, in seconds; it takes milliseconds, and a machine may be busy.
PATIENCE = 20.0
#: How long a client may take to detach, in seconds: a server that hangs never lets it go.
LEAVING = 2.0


class TmuxFailed(ProcessError):
    """The tmux server refused a command, or is gone."""

    code = "tmux_failed"


class TmuxSilent(TmuxFailed):
    """The tmux server is there and does not answer."""


class TmuxClient:
    """Made by `attach`, ended by `close`. It ends by itself when this process dies: its input ends then."""

    def __init__(self, process: Process) -> None:
        #: Set when the server is gone, or has sent this client away.
        self.gone = asyncio.Event()
        self._process = process
        #: Who waits for an answer, and since when; tmux answers in this order.
        self._waiting: deque[tuple[float, asyncio.Future[Reply]]] = deque()
        self._reason = ""
        self._reading = asyncio.create_task(self._read(), name="tmux control client")

    @classmethod
    async def attach(
        cls, tmux: Sequence[str], session: Sequence[str], environment: Mapping[str, str]
    ) -> Self:
        """Make a session in the server that `tmux` speaks to, and sit in it. Raises `TmuxFailed`.

        `session` is its name and the program that it holds.
        """
        # Where none listens, tmux would start one itself: a daemon that nobody supervises.
        argv = [*tmux, "-N", "-C", "new-session", "-f", "no-output", "-s", *session]
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=dict(environment), start_new_session=True
        )
        client = cls(process)
        try:
            # The command on its argv is answered like any other.
            await client._answer()
        except BaseException:  # nobody gets it: it must not stay
            await client._end()
            raise
        return client

    async def run(self, *words: str) -> tuple[str, ...]:
        """The lines that a command prints. Raises `TmuxFailed`."""
        line = command_line(*words)
        if self.gone.is_set() or self._process.stdin is None:
            raise TmuxFailed(f"the tmux server is gone{self._reason}")
        self._process.stdin.write(line)
        reply = await self._answer()
        if not reply.is_good:
            raise TmuxFailed(f"tmux: {' '.join(words[:1])}: {'; '.join(reply.lines)}")
        return reply.lines

    async def close(self) -> None:
        """Detach, and return when the client's process has ended.

        Raises `TmuxSilent` where the server does not let go of it: the server holds the client's pipes, too.
        Once the server has ended, this can be called again.
        """
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(LEAVING):
                await self._process.wait()
        except TimeoutError as error:
            self._kill()
            raise TmuxSilent(f"tmux did not let go within {LEAVING:g} s") from error
        await self._reading

    async def _end(self) -> None:
        self._kill()
        with suppress(TimeoutError):  # it is gone; its pipes are in the hands of a server that hangs
            async with asyncio.timeout(LEAVING):
                await self._process.wait()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def _answer(self) -> Reply:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reply] = loop.create_future()
        self._waiting.append((loop.time(), answer))
        # It has been silent since the first of them asked, who may have left: a short deadline after the
        # other must not keep one that hangs from being found out.
        silent_since, _ = self._waiting[0]
        try:
            # Shielded: a caller that leaves must not let the next one read its answer.
            async with asyncio.timeout_at(silent_since + PATIENCE):
                return await asyncio.shield(answer)
        except TimeoutError as error:
            raise TmuxSilent(f"tmux did not answer within {PATIENCE:g} s") from error

    async def _read(self) -> None:
        parser, stdout, stderr = Parser(), self._process.stdout, self._process.stderr
        assert stdout is not None  # noqa: S101 - both are pipes
        assert stderr is not None  # noqa: S101
        try:
            while chunk := await stdout.read(CHUNK):
                for message in parser.feed(chunk):
                    if isinstance(message, Reply) and self._waiting:
                        _settle(self._waiting.popleft()[1], message)
                    elif isinstance(message, Exit) and message.reason:
                        self._reason = f": {message.reason}"
            said = (await stderr.read(CHUNK)).decode("utf-8", "replace").strip()
            self._reason = f": {said}" if said else self._reason
        finally:
            self.gone.set()
            while self._waiting:
                _fail(self._waiting.popleft()[1], TmuxFailed(f"the tmux server is gone{self._reason}"))
            await self._process.wait()


def _settle(answer: asyncio.Future[Reply], reply: Reply) -> None:
    if not answer.done():
        answer.set_result(reply)


def _fail(answer: asyncio.Future[Reply], error: TmuxFailed) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # asked once: who waited may have left
