"""Listens on loopback, records what is asked, and plays what a test scripted."""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, Self

from tests.model_server.anthropic import Anthropic
from tests.model_server.gemini import Gemini
from tests.model_server.openai_chat import OpenAiChat
from tests.model_server.openai_responses import OpenAiResponses
from tests.model_server.replies import Answer, Drop, Failure, Hang, Reply, ToolUse


class Dialect(Protocol):
    """One vendor's API."""

    def is_greeting(self, method: str, path: str) -> bool:
        """True for a request that asks no model and is answered with an empty 200."""
        ...

    def is_prompt(self, method: str, path: str) -> bool:
        """True for a request that a scripted reply answers."""
        ...

    def texts(self, body: dict[str, Any]) -> list[str]:
        """Every text that the request carries to the model, oldest first."""
        ...

    def events(self, reply: Answer | ToolUse, model: str, number: int) -> Iterator[bytes]:
        """The answer in pieces as they are streamed; `number` counts the answers of this server."""
        ...

    def failure(self, reply: Failure) -> bytes:
        """The body of a refusal."""
        ...


#: The first that knows a request answers it.
DIALECTS: tuple[Dialect, ...] = (Anthropic(), OpenAiResponses(), OpenAiChat(), Gemini())


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One prompt that a CLI sent."""

    path: str
    #: Names in lower case.
    headers: dict[str, str]
    body: dict[str, Any]
    #: Every text that it carries to the model, oldest first.
    texts: tuple[str, ...]


class ModelServer:
    """Plays the scripted replies in order, then `default`; close it, or use it as a context manager."""

    def __init__(self, dialects: tuple[Dialect, ...] = DIALECTS) -> None:
        self.default: Reply = Answer(text="the model has nothing to add")
        #: The prompts so far, oldest first.
        self.requests: list[ModelRequest] = []
        #: Requests that no dialect knows, as ``METHOD /path``: a CLI that wants more than we speak.
        self.strangers: list[str] = []
        self.closing = threading.Event()
        self.dialects = dialects
        self._script: deque[Reply] = deque()
        self._lock = threading.Lock()
        self._http = _Server(self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``"""
        return f"http://127.0.0.1:{self._http.server_port}"

    def script(self, *replies: Reply) -> None:
        """Answer the next prompts so, one reply each."""
        with self._lock:
            self._script.extend(replies)

    def take(self, request: ModelRequest) -> tuple[Reply, int]:
        """Record a prompt; what to do with it, and its number from 1."""
        with self._lock:
            self.requests.append(request)
            return (self._script.popleft() if self._script else self.default), len(self.requests)

    def close(self) -> None:
        """Let go of whoever hangs, and stop."""
        self.closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner: ModelServer) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A CLI that goes away in mid-answer is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what was asked is in `ModelServer.requests`."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        owner = self.server.owner
        for dialect in owner.dialects:
            if dialect.is_prompt(self.command, self.path):
                self._answer_prompt(dialect, json.loads(body))
                return
            if dialect.is_greeting(self.command, self.path):
                self._send(200, b"")
                return
        owner.strangers.append(f"{self.command} {self.path}")
        self._send(404, b"{}")

    def _answer_prompt(self, dialect: Dialect, body: dict[str, Any]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        texts = tuple(dialect.texts(body))
        request = ModelRequest(path=self.path, headers=headers, body=body, texts=texts)
        reply, number = self.server.owner.take(request)
        match reply:
            case Failure():
                extra = {} if reply.retry_after is None else {"Retry-After": str(reply.retry_after)}
                self._send(reply.status, dialect.failure(reply), extra)
            case Hang():
                self.server.owner.closing.wait()
                self._drop()
            case Drop():
                events = list(dialect.events(Answer(text=reply.text), body.get("model", ""), number))
                self._stream(events[: reply.after_events], is_whole=False)
            case Answer() | ToolUse():
                self._stream(dialect.events(reply, body.get("model", ""), number), is_whole=True)

    def _send(self, status: int, body: bytes, extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in (headers | (extra or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, events: Iterable[bytes], *, is_whole: bool) -> None:
        started = False
        for event in events:
            if not started:
                self._start_stream()
                started = True
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
        if is_whole:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self._drop()

    def _start_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
