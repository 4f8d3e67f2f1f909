"""Listening: said clearly where it cannot be, and stopped without cutting anybody short."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from kokino.app import server
from kokino.app.server import CannotListen, Listening, bind

#: Far longer than anything here takes, in seconds.
PATIENCE = 20


def refusal(host: str, port: int) -> str:
    """What listening there says."""
    with pytest.raises(CannotListen) as caught:
        bind(host, port)
    return caught.value.message


def test_a_port_in_use_is_told_with_what_to_do() -> None:
    """Another broker is the likely one: the message says how to ask it."""
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        said = refusal("127.0.0.1", port)
    assert said.startswith(f"port {port} on 127.0.0.1 is in use: another broker may be running")
    assert f"curl http://127.0.0.1:{port}/health" in said
    assert "choose another with --port or server.port" in said


def test_an_address_of_another_machine_is_told() -> None:
    """192.0.2.0/24 is nobody's (RFC 5737)."""
    assert refusal("192.0.2.1", 0) == "192.0.2.1 is no address of this machine: check --host or server.host"


def test_a_name_that_nobody_has_is_told() -> None:
    """With the name, not with a trace."""
    assert refusal("no such host", 0).startswith("cannot listen on no such host:0: ")


def test_port_0_takes_a_free_one() -> None:
    """And two of them two."""
    with bind("127.0.0.1", 0) as one, bind("127.0.0.1", 0) as other:
        assert one.getsockname() != other.getsockname()


class Site:
    """A small site: one answer that waits to be let go, and one stream without end."""

    def __init__(self) -> None:
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        self.app = Starlette(routes=[Route("/slow", self._slow), Route("/stream", self._stream)])

    async def _slow(self, _request: Request) -> PlainTextResponse:
        self.asked.set()
        await self.answer.wait()
        return PlainTextResponse("done")

    async def _stream(self, _request: Request) -> StreamingResponse:
        return StreamingResponse(self._beats())

    async def _beats(self) -> AsyncIterator[bytes]:
        self.asked.set()
        yield b"begun"
        await asyncio.Event().wait()


@pytest.fixture
async def listener() -> AsyncIterator[socket.socket]:
    """A free port."""
    with bind("127.0.0.1", 0) as opened:
        yield opened


async def asked(site: Site, client: httpx.AsyncClient, path: str) -> asyncio.Task[httpx.Response]:
    """A request that has arrived."""
    asking = asyncio.create_task(client.get(path))
    async with asyncio.timeout(PATIENCE):
        await site.asked.wait()
    return asking


async def test_what_is_written_is_sent_at_once(listener: socket.socket) -> None:
    """Else an answer's body waits until its head has been acknowledged, which may take 40 ms."""
    site = Site()
    listening = Listening(site.app, listener)
    await listening.start()
    host, port = listener.getsockname()
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=PATIENCE) as client:
        asking = await asked(site, client, "/slow")
        (connection,) = listening._server.server_state.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        site.answer.set()
        await asking
    await listening.stop()


async def test_a_stop_lets_an_answer_out(listener: socket.socket) -> None:
    """What was asked before is answered; afterwards nobody is there."""
    site = Site()
    listening = Listening(site.app, listener)
    await listening.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
        asking = await asked(site, client, "/slow")
        stopping = asyncio.create_task(listening.stop())
        site.answer.set()
        assert (await asking).text == "done"
        await stopping
    async with httpx.AsyncClient(base_url=url) as other:
        with pytest.raises(httpx.ConnectError):
            await other.get("/slow")


async def test_a_stream_does_not_hold_up_a_stop(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dashboard that somebody left open is cut."""
    monkeypatch.setattr(server, "PATIENCE", 0)
    site = Site()
    listening = Listening(site.app, listener)
    await listening.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
        asking = await asked(site, client, "/stream")
        async with asyncio.timeout(PATIENCE):
            await listening.stop()
        with pytest.raises(httpx.HTTPError):
            await asking


async def test_the_signals_stay_the_brokers(listener: socket.socket) -> None:
    """uvicorn's own handlers would end the process before executions are drained."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    listening = Listening(Site().app, listener)
    await listening.start()
    during = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    await listening.stop()
    assert during == before


async def test_stopping_what_never_started_closes_its_socket(listener: socket.socket) -> None:
    """A start that fails half way leaves nothing open."""
    await Listening(Site().app, listener).stop()
    assert listener.fileno() == -1
