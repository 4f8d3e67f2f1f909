"""Who may come in: hosts, foreign pages, content types, body sizes and tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from kokino.api import guard as module
from kokino.api.guard import (
    LARGEST_BODY,
    Guard,
    Rules,
    WrongType,
    check_body,
    check_host,
    check_page,
    is_loopback,
    scope_for,
)
from kokino.errors import Denied, TooLarge
from kokino.tokens import Scope as TokenScope
from kokino.tokens import Tokens

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
HOSTS = ("localhost", "127.0.0.1", "::1", "kokino.example.com")
TOKENS = Tokens(b"k" * 32)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:5050",
        "LOCALHOST:5050",
        "127.0.0.1:5050",
        "[::1]:5050",
        "[::1]",
        "kokino.example.com",
    ],
)
def test_our_own_names_are_hosts(host: str) -> None:
    """With any port, in any case."""
    check_host(host, HOSTS)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.example:127.0.0.1",
        "127.0.0.1.evil:5050",
        "localhost@evil",
    ],
)
def test_any_other_name_is_refused(host: str) -> None:
    """A page that made its name point to us by DNS rebinding sends its own name."""
    with pytest.raises(Denied, match="is not one of this broker's"):
        check_host(host, HOSTS)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a browser says of where a request comes from, and whether it may come in."""

    why: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    comes_in: bool


PAGES = [
    Case(why="curl says nothing of pages", comes_in=True),
    Case(
        why="our own page",
        headers={"origin": "http://localhost:5050", "sec-fetch-site": "same-origin"},
        comes_in=True,
    ),
    Case(why="somebody typed the address", headers={"sec-fetch-site": "none"}, comes_in=True),
    Case(why="another site's page", headers={"sec-fetch-site": "cross-site"}, comes_in=False),
    Case(
        why="another port of this machine is another site's page too",
        headers={"sec-fetch-site": "same-site"},
        comes_in=False,
    ),
    Case(
        why="a foreign origin, from a browser without the newer header",
        headers={"origin": "http://evil.example"},
        comes_in=False,
    ),
    Case(why="our name on another port", headers={"origin": "http://localhost:8000"}, comes_in=False),
    Case(
        why="a page in a sandbox has no origin, and none of ours is in one",
        headers={"origin": "null"},
        comes_in=False,
    ),
    Case(
        why="a link from elsewhere may open the dashboard",
        method="GET",
        headers={"sec-fetch-site": "cross-site"},
        comes_in=True,
    ),
    Case(
        why="but no foreign page may follow a stream",
        method="GET",
        headers={"sec-fetch-site": "cross-site", "accept": "text/event-stream"},
        comes_in=False,
    ),
    Case(
        why="our own may",
        method="GET",
        headers={"sec-fetch-site": "same-origin", "accept": "text/event-stream"},
        comes_in=True,
    ),
    Case(
        why="DELETE changes something too",
        method="DELETE",
        headers={"sec-fetch-site": "cross-site"},
        comes_in=False,
    ),
]


@pytest.mark.parametrize("case", PAGES, ids=lambda case: case.why)
def test_what_other_sites_pages_send_is_refused(case: Case) -> None:
    """On every method that changes something, and on every stream."""
    headers = Headers({"host": "localhost:5050", **case.headers})
    if case.comes_in:
        check_page(case.method, headers)
    else:
        with pytest.raises(Denied):
            check_page(case.method, headers)


BODIES = [
    Case(why="JSON", headers={"content-length": "2", "content-type": "application/json"}, comes_in=True),
    Case(
        why="JSON with its charset, in anybody's spelling",
        headers={"content-length": "2", "content-type": "Application/JSON; charset=utf-8"},
        comes_in=True,
    ),
    Case(why="no body needs no type", headers={"content-length": "0"}, comes_in=True),
    Case(why="nor does a request that says nothing of one", comes_in=True),
    Case(
        why="a form can be sent by any page",
        headers={"content-length": "2", "content-type": "text/plain"},
        comes_in=False,
    ),
    Case(why="a body without a type", headers={"content-length": "2"}, comes_in=False),
    Case(why="a body in chunks without a type", headers={"transfer-encoding": "chunked"}, comes_in=False),
    Case(
        why="a type that only begins like JSON",
        headers={"content-length": "2", "content-type": "application/jsonp"},
        comes_in=False,
    ),
]


@pytest.mark.parametrize("case", BODIES, ids=lambda case: case.why)
def test_a_body_must_be_json(case: Case) -> None:
    """A form on a foreign page cannot be sent as JSON."""
    headers = Headers(dict(case.headers))
    if case.comes_in:
        check_body("POST", headers)
    else:
        with pytest.raises(WrongType):
            check_body("POST", headers)


def test_a_body_over_the_limit_is_refused_before_it_is_read() -> None:
    """By what it says of itself."""
    kind = {"content-type": "application/json"}
    check_body("POST", Headers({**kind, "content-length": str(LARGEST_BODY)}))
    with pytest.raises(TooLarge, match="larger than 12,000,000 bytes"):
        check_body("POST", Headers({**kind, "content-length": str(LARGEST_BODY + 1)}))


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", "/agents", TokenScope.READ),
        ("HEAD", "/metrics", TokenScope.READ),
        ("POST", "/agents/a/execute", TokenScope.RUN),
        ("POST", "/agents/a/execute/cancel", TokenScope.OPERATE),
        ("POST", "/api/fallback/cli/disable", TokenScope.OPERATE),
        ("DELETE", "/agents/a", TokenScope.OPERATE),
        ("GET", "/agents/a/execute", TokenScope.READ),
        # An agent may be called so.
        ("DELETE", "/agents/execute", TokenScope.OPERATE),
        ("POST", "/agents/execute/end-session", TokenScope.OPERATE),
    ],
)
def test_what_a_request_needs(method: str, path: str, needed: TokenScope) -> None:
    """Looking, running an agent, and everything else that changes something."""
    assert scope_for(method, path) is needed


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
        ("kokino.example.com", False),
    ],
)
def test_only_this_machines_own_addresses_are_loopback(host: str, expected: bool) -> None:
    """A name that somebody else resolves is none."""
    assert is_loopback(host) is expected


@dataclass
class Door:
    """A guarded app that reads its body and tells whom it let in."""

    is_token_required: bool = False
    admitted: list[str] = field(default_factory=list)

    async def __call__(
        self, method: str, path: str, *, chunks: Sequence[bytes] = (b"",), **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Status and problem of a request."""
        sent: list[Message] = []
        waiting = list(chunks)

        async def receive() -> Message:
            chunk = waiting.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

        async def send(message: Message) -> None:
            sent.append(message)

        named = {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items()]
        scope = {"type": "http", "method": method, "path": path, "headers": raw, "query_string": b""}
        rules = Rules(hosts=HOSTS, is_token_required=self.is_token_required, tokens=TOKENS, now=lambda: NOW)
        await Guard(self._app, rules)(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent)
        return sent[0]["status"], json.loads(body) if body else {}

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.admitted.append(scope["state"]["grant"].subject)
        while (await receive())["more_body"]:
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})


def bearer(*scopes: TokenScope, lasts: timedelta = timedelta(minutes=1)) -> str:
    """A header's value with a token of ours."""
    return f"Bearer {TOKENS.mint('somebody', scopes, ends_at=NOW + lasts)}"


async def test_on_loopback_nobody_needs_a_token() -> None:
    """Whoever reaches it is this machine's user."""
    door = Door()
    assert await door("POST", "/api/pause") == (204, {})
    assert door.admitted == ["local"]


async def test_where_a_token_is_required_none_is_401() -> None:
    """With the way to get one; looking needs one too."""
    door = Door(is_token_required=True)
    status, problem = await door("GET", "/agents")
    assert (status, problem["error"]) == (401, "unauthenticated")
    assert "`kokino token` makes one" in problem["detail"]
    assert door.admitted == []


async def test_a_token_lets_in_for_what_it_is_good_for() -> None:
    """Its subject is who asks; what it is not good for is 403."""
    door = Door(is_token_required=True)
    reader = bearer(TokenScope.READ)
    assert (await door("GET", "/agents", authorization=reader))[0] == 204
    status, problem = await door("POST", "/api/pause", authorization=reader)
    assert (status, problem["error"]) == (403, "denied")
    assert "needs the scope 'operate'; the token of 'somebody' lacks it" in problem["detail"]
    assert door.admitted == ["somebody"]


@pytest.mark.parametrize("token", ["nonsense", "kk1.a.b", "kk1.é.é", "kk1."])
async def test_a_bad_token_is_401_though_none_was_needed(token: str) -> None:
    """Who shows a token means to be known by it: a playbook step must not become the machine's user."""
    door = Door()
    assert (await door("GET", "/agents", authorization=f"Bearer {token}"))[0] == 401
    assert door.admitted == []


async def test_a_token_that_is_over_is_401() -> None:
    """And says so."""
    _, problem = await Door()("GET", "/", authorization=bearer(TokenScope.READ, lasts=timedelta(0)))
    assert problem["detail"] == "the token is over; get a new one"


async def test_a_stepping_token_narrows_what_loopback_would_allow() -> None:
    """A reading step may not pause anything, though its socket is local."""
    assert (await Door()("POST", "/api/pause", authorization=bearer(TokenScope.READ)))[0] == 403


async def test_a_body_that_lies_about_its_length_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunk by chunk, whatever was announced."""
    monkeypatch.setattr(module, "LARGEST_BODY", 10)
    kind = {"content_type": "application/json", "transfer_encoding": "chunked"}
    assert (await Door()("POST", "/x", chunks=[b"12345", b"67890"], **kind))[0] == 204
    with pytest.raises(HTTPException) as caught:
        await Door()("POST", "/x", chunks=[b"12345", b"67890", b"1"], **kind)
    assert caught.value.status_code == 413


async def test_what_is_no_request_passes() -> None:
    """Starting up and shutting down are the server's."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def unused(*_: object) -> Any:
        raise AssertionError

    rules = Rules(hosts=(), is_token_required=True, tokens=TOKENS, now=lambda: NOW)
    await Guard(app, rules)({"type": "lifespan"}, unused, unused)
    assert seen == ["lifespan"]
