"""Listen: a socket that is bound before anything else is touched, and uvicorn inside our own loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from kokino.errors import KokinoError

#: How long open streams may hold up a stop, in seconds.
PATIENCE = 2


class CannotListen(KokinoError):
    """The address or port cannot be had."""

    status = 503
    code = "cannot_listen"


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises `CannotListen` with what to do about it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise CannotListen(_explained(host, port, error)) from error
    listener.setblocking(False)
    return listener


def _explained(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is in use: another broker may be running, which"
            f" curl http://{host}:{port}/health tells; stop it, or choose another with --port or server.port"
        )
    if error.errno == errno.EACCES:
        return f"port {port} may not be used by this user: choose one above 1023 with --port or server.port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: check --host or server.host"
    return f"cannot listen on {host}:{port}: {error.strerror}"


class Listening:
    """uvicorn, started and stopped by us: the signals are the broker's."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._listener = listener
        self._server = _Server(
            uvicorn.Config(
                app,
                http="httptools",
                loop="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=PATIENCE,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to answer."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]), name="http")
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """Answer what was asked, cut the streams, close the socket."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._listener.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal: uvicorn's handlers would end the process before executions are drained."""
        yield
