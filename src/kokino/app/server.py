"""Listen: a socket that is bound before anything else is touched, and uvicorn inside our own loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kokino.errors import KokinoError

#: How long open streams may hold up a stop, in seconds.
PATIENCE = 2
#: How long a broker that leaves goes on to answer on the connections that it has, in seconds: enough for a
#: client that asks again and again to hear that it has to connect anew.
FAREWELL = 0.25
#: Between two looks at the connections meanwhile, in seconds.
LOOK_AGAIN = 0.02


class CannotListen(KokinoError):
    """The address or port cannot be had."""

    status = 503
    code = "cannot_listen"


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises `CannotListen` with what to do about it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, for only then asyncio sends at once what is written: an answer's head and body are two
    # writes, and the second one would wait for the other side's delayed acknowledgement, 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
        self._app = _Farewell(app)
        self._server = _Server(
            uvicorn.Config(
                self._app,
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
        # A second descriptor: uvicorn closes the one it has, and the socket itself may have to outlive it.
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener.dup()]), name="http")
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """Answer what was asked, cut the streams, close the socket."""
        await self._finish()
        self._listener.close()

    async def leave(self) -> None:
        """Answer what was asked, cut the streams; who connects meanwhile waits at the socket, which stays.

        A connection that was accepted is answered before it is closed, once: its request may be on the way.
        """
        self._app.is_leaving = True
        for server in self._server.servers:
            server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await asyncio.sleep(FAREWELL)
                while self._server.has_newcomers:
                    await asyncio.sleep(LOOK_AGAIN)
        await self._finish()

    async def _finish(self) -> None:
        self._server.should_exit = True
        if self._task is not None:
            await self._task


class _Farewell:
    """Once the broker leaves, tells each client with its answer that this connection ends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.is_leaving = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def said(message: Message) -> None:
            if self.is_leaving and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, said)


class _Server(uvicorn.Server):
    @property
    def has_newcomers(self) -> bool:
        """True while there is a connection on which nothing has been asked yet."""
        return any(getattr(one, "cycle", None) is None for one in self.server_state.connections)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal: uvicorn's handlers would end the process before executions are drained."""
        yield
