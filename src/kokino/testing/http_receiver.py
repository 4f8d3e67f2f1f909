"""A small HTTP receiver on loopback that writes down what it is sent, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import contextlib
import http
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from kokino.tasks import Tasks

#: Bytes of a request's head and body that are read.
LARGEST_HEAD = 65_536
LARGEST_BODY = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, as it came."""

    method: str
    path: str
    #: By lower-case name.
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        """The content read as JSON; None when it is none."""
        try:
            return json.loads(self.content)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What is answered."""

    status: int
    content: bytes = b""
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """As HTTP/1.1; the connection is closed after it."""
        lines = [
            f"HTTP/1.1 {self.status} {http.HTTPStatus(self.status).phrase}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.content)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + self.content


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    """What happens to the next request instead of an ordinary answer."""

    #: Answered as it is; None where there is no answer.
    response: Response | None = None
    #: Whether the request has its effect all the same.
    is_processed: bool = False
    #: Keep the connection open without a word instead of closing it.
    is_hanging: bool = False


class HttpReceiver:
    """Listens on loopback while its ``async with`` block runs. Subclasses say what a request does."""

    def __init__(self) -> None:
        #: Every request that was read to its end, in the order of arrival.
        self.requests: list[Request] = []
        self._faults: deque[_Fault] = deque()
        self._arrived = asyncio.Condition()
        self._released = asyncio.Event()
        self._connections = Tasks()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Its base address; known once it listens."""
        if self._server is None:
            raise RuntimeError("the receiver does not listen yet: enter its block first")
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def process(self, request: Request) -> Response:
        """Do what the request asks for, and answer."""
        raise NotImplementedError

    def refusal(self, status: int) -> Response:
        """What this kind of receiver answers with `status` when it is told to fail."""
        raise NotImplementedError

    def fail_next(self, status: int, *, retry_after: str | int | None = None) -> None:
        """Answer the next request that has no fault yet with `status`, and do nothing that it asks for."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        answer = self.refusal(status)
        response = Response(
            status=status, content=answer.content, content_type=answer.content_type, headers=headers
        )
        self._faults.append(_Fault(response=response))

    def drop_next(self, *, is_processed: bool = True) -> None:
        """Read the next request, do what it asks for unless told otherwise, and close without an answer."""
        self._faults.append(_Fault(is_processed=is_processed))

    def hang_next(self) -> None:
        """Read the next request, do what it asks for, and say nothing until `release` or the end."""
        self._faults.append(_Fault(is_processed=True, is_hanging=True))

    def release(self) -> None:
        """Close all connections that hang; later ones hang anew."""
        self._released.set()
        self._released = asyncio.Event()

    async def received(self, count: int) -> list[Request]:
        """Wait until `count` requests have come, and return all of them."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return list(self.requests)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=LARGEST_HEAD)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        await self._connections.stop()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.start(self._converse(reader, writer), name="receiver connection")

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # A client that goes away half-way has sent nothing that counts.
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                request = await _read_request(reader)
                await self._answer(request, writer)
        finally:
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        fault = self._faults.popleft() if self._faults else None
        processed = self.process(request) if fault is None or fault.is_processed else None
        await self._note(request)
        if fault is not None and fault.is_hanging:
            await self._released.wait()
        response = processed if fault is None else fault.response
        if response is not None:
            writer.write(response.encode())
            await writer.drain()

    async def _note(self, request: Request) -> None:
        async with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = head.rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)
    }
    length = min(int(headers.get("content-length", "0")), LARGEST_BODY)
    return Request(method=method, path=path, headers=headers, content=await reader.readexactly(length))
