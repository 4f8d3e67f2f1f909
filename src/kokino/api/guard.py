"""Who may come in: a pure ASGI middleware, so that streams are guarded like any other answer."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kokino.api import problems
from kokino.errors import Denied, Invalid, KokinoError, TooLarge
from kokino.tokens import Grant, Tokens
from kokino.tokens import Scope as TokenScope

#: Largest body, in bytes: the longest prompt, written in JSON's longest way for plain text, and some room.
LARGEST_BODY = 12_000_000
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: What other machines call of their own accord: whoever is on this one is none of them.
HOOKS = "/api/hooks/"
#: Asking for these runs an agent and changes nothing else.
_EXECUTE = re.compile(r"/agents/[^/]+/execute")
#: Without a token, whoever reaches the loopback address is this machine's user.
LOCAL = Grant(subject="local", scopes=frozenset({TokenScope.READ, TokenScope.RUN, TokenScope.OPERATE}))


class Unauthenticated(Denied):
    """A token is needed here."""

    status = 401
    code = "unauthenticated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the guard goes by."""

    #: Names that may stand in ``Host``, without the port. Keeps a web page from reaching us by DNS rebinding.
    hosts: Sequence[str]
    #: A token is needed for everything.
    is_token_required: bool
    tokens: Tokens
    now: Callable[[], datetime]


class Guard:
    """Refuses foreign hosts, foreign web pages, wrong content types, bodies without end, and weak tokens."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with the reason why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            check_address(scope["path"], scope["query_string"])
            scope.setdefault("state", {})["grant"] = self._admit(
                scope["method"], scope["path"], Headers(scope=scope)
            )
        except KokinoError as error:
            await problems.of_error(error)(scope, receive, send)
            return
        await self._limited(scope, receive, send)

    def _admit(self, method: str, path: str, headers: Headers) -> Grant:
        check_host(headers.get("host", ""), self._rules.hosts)
        check_page(method, headers)
        check_body(method, headers)
        grant = self._grant(headers)
        needed = scope_for(method, path)
        if not grant.allows(needed):
            if grant == LOCAL:
                raise Unauthenticated(
                    f"{method} {path} needs a token with the scope {needed.value!r}: send Authorization:"
                    f" Bearer TOKEN; `kokino token NAME --scope {needed.value}` makes one"
                )
            raise Denied(
                f"{method} {path} needs the scope {needed.value!r}; the token of {grant.subject!r} lacks it"
            )
        return grant

    def _grant(self, headers: Headers) -> Grant:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            try:
                return self._rules.tokens.check(token.strip(), now=self._rules.now())
            except Denied as error:
                raise Unauthenticated(error.message) from error
        if self._rules.is_token_required:
            raise Unauthenticated(
                "a token is needed: send Authorization: Bearer TOKEN; `kokino token` makes one"
            )
        return LOCAL

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the body on as long as it stays below the limit, whatever its Content-Length says."""
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST_BODY:
                # The framework turns any error but its own, raised while it reads a body, into a 400.
                raise HTTPException(TooLarge.status, _too_large().message)
            return message

        await self._app(scope, counted, send)


def check_address(path: str, query: bytes) -> None:
    """Raise `Invalid` for what no id, name or value of ours can hold and PostgreSQL takes in no text."""
    if "\x00" in path or b"%00" in query or b"\x00" in query:
        raise Invalid(
            "the address holds a NUL character (%00), which stands in no id and no name: leave it out"
        )


def check_host(host: str, allowed: Sequence[str]) -> None:
    """Raise `Denied` for a Host that is not one of ours."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    if name.strip("[]").lower() not in allowed:
        raise Denied(
            f"the Host {host!r} is not one of this broker's: {', '.join(allowed)}; see server.public_url"
        )


def check_page(method: str, headers: Headers) -> None:
    """Raise `Denied` for what another site's page sends."""
    site = headers.get("sec-fetch-site", "none")
    is_stream = "text/event-stream" in headers.get("accept", "")
    if method in SAFE and not is_stream:
        return
    if site not in {"none", "same-origin"}:
        raise Denied("requests from other sites' pages are refused")
    origin = headers.get("origin")
    if origin is not None and origin.split("://")[-1] != headers.get("host"):
        raise Denied(f"requests from the origin {origin!r} are refused")


class WrongType(KokinoError):
    """A body that is not said to be JSON."""

    status = 415
    code = "unsupported_media_type"


def check_body(method: str, headers: Headers) -> None:
    """Raise for a body that is too large, or not JSON: a form on a foreign page can send no JSON type."""
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > LARGEST_BODY:
        raise _too_large()
    has_body = length != "0" or "transfer-encoding" in headers
    if (
        method not in SAFE
        and has_body
        and headers.get("content-type", "").split(";")[0].strip().lower() != "application/json"
    ):
        raise WrongType("the body must be JSON: send Content-Type: application/json")


def scope_for(method: str, path: str) -> TokenScope:
    """What a token must allow for this request."""
    if method in SAFE:
        return TokenScope.READ
    if path.startswith(HOOKS):
        return TokenScope.HOOK
    is_run = method == "POST" and _EXECUTE.fullmatch(path) is not None
    return TokenScope.RUN if is_run else TokenScope.OPERATE


def check_admin(grant: Grant, what: str) -> None:
    """Raise where `what`, the subject of a sentence, needs a token of the scope admin: on loopback too."""
    if grant.allows(TokenScope.ADMIN):
        return
    way = "`kokino token NAME --scope admin` makes one; kokino.toml may always say it"
    if grant == LOCAL:
        raise Unauthenticated(
            f"{what} needs a token with the scope 'admin': send Authorization: Bearer TOKEN; {way}"
        )
    raise Denied(f"{what} needs the scope 'admin'; the token of {grant.subject!r} lacks it: {way}")


def is_loopback(host: str) -> bool:
    """True for an address that only this machine reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _too_large() -> TooLarge:
    return TooLarge(
        f"the body is larger than {LARGEST_BODY:,} bytes; put a long prompt in a file and name that"
    )
