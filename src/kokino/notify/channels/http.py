"""One HTTP attempt, and what its answer or its silence means."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpx

from kokino.clock import Clock
from kokino.notify.model import Outcome, Reason, Receipt
from kokino.notify.text import plain, shortened

#: Seconds for each part of an attempt, and for the whole: well inside a delivery's lease of a minute.
TIMEOUTS = httpx.Timeout(connect=5, write=5, read=15, pool=5)
DEADLINE = 30.0
#: Bytes of an answer that are read; a receiver says what it has to say in far fewer.
LARGEST_ANSWER = 16_384
#: Characters of an answer that are kept.
LONGEST_DETAIL = 300

#: Nothing of the request has left the machine: certain not to have arrived.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
#: Client errors that say "later", not "never": request timeout and too many requests.
TOO_MANY = 429
_LATER = frozenset({408, TOO_MANY})


#: What is sent as JSON.
Body = Mapping[str, Any] | Sequence[Mapping[str, Any]]


@cache
def trusted() -> ssl.SSLContext:
    """The authorities that are trusted. To read them takes a tenth of a second: once for all clients."""
    return httpx.create_ssl_context()


def open_client() -> httpx.AsyncClient:
    """The HTTP client that channels share; the caller closes it.

    No connection is kept for the next request: the server may be closing it just then, and a page is too rare
    to be worth that doubt. Redirects are not followed, for they would carry the secret elsewhere. A proxy
    that the environment names is used, but not for this machine, which it could not reach.
    """
    limits = httpx.Limits(max_keepalive_connections=0)
    direct = dict.fromkeys(("all://127.0.0.1", "all://localhost", "all://[::1]"))
    return httpx.AsyncClient(
        verify=trusted(), timeout=TIMEOUTS, limits=limits, follow_redirects=False, mounts=direct
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a receiver answered."""

    status: int
    #: The beginning of the body as text.
    body: str
    retry_after: timedelta | None


async def post(
    client: httpx.AsyncClient,
    url: str,
    body: Body,
    *,
    clock: Clock,
    secrets: Collection[str],
    accept: Callable[[Answer], Receipt],
) -> Receipt:
    """POST `body` as JSON once; `accept` reads a 2xx answer. None of `secrets` gets into the receipt."""
    try:
        async with asyncio.timeout(DEADLINE):
            answer = await _exchange(client, url, body, clock, secrets)
    except _NOT_SENT as error:
        detail = f"could not connect: {_said(error, secrets)}"
        return Receipt(outcome=Outcome.RETRY, detail=detail, reason=Reason.UNREACHABLE)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        detail = f"no usable address: {_said(error, secrets)}"
        return Receipt(outcome=Outcome.REFUSED, detail=detail, reason=Reason.UNREACHABLE)
    except (httpx.HTTPError, TimeoutError) as error:
        # Something was sent and no whole answer came back: whether it arrived cannot be known from here.
        detail = f"sent, but the answer was lost: {_said(error, secrets)}"
        return Receipt(outcome=Outcome.UNCERTAIN, detail=detail, reason=Reason.NO_ANSWER)
    return accept(answer) if 200 <= answer.status < 300 else judge(answer)


def judge(answer: Answer) -> Receipt:
    """What an answer other than 2xx means: later for 408, 429 and 5xx, never for the rest."""
    is_later = answer.status in _LATER or answer.status >= 500
    outcome = Outcome.RETRY if is_later else Outcome.REFUSED
    return Receipt(
        outcome=outcome,
        detail=said(answer),
        retry_after=answer.retry_after if is_later else None,
        reason=_reason(answer, is_later=is_later),
    )


def _reason(answer: Answer, *, is_later: bool) -> Reason:
    if answer.status == TOO_MANY:
        return Reason.RATE_LIMITED
    return Reason.SERVER_ERROR if is_later else Reason.CLIENT_ERROR


def said(answer: Answer) -> str:
    """``400: invalid_payload``."""
    body = shortened(plain(answer.body), LONGEST_DETAIL)
    return f"{answer.status}: {body}" if body else str(answer.status)


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """The length that a ``Retry-After`` header asks for, in seconds or as a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    value = value.strip()
    # Nine digits are thirty years; more would not fit a timedelta.
    if value.isascii() and value.isdigit():
        return timedelta(seconds=int(value[:9]))
    instant = _parse_date(value)
    return None if instant is None else max(instant - now, timedelta())


async def _exchange(
    client: httpx.AsyncClient, url: str, body: Body, clock: Clock, secrets: Collection[str]
) -> Answer:
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "kokino"}
    # Replaced, not refused: half a surrogate pair in what an agent said must not keep a page from going out.
    sent = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    async with client.stream("POST", url, content=sent, headers=headers) as response:
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) >= LARGEST_ANSWER:
                break
    # The receiver's own idea of now, where it tells: its dates then mean the same whatever our clock says.
    now = _parse_date(response.headers.get("Date", "")) or clock.now()
    return Answer(
        status=response.status_code,
        body=_without(secrets, content[:LARGEST_ANSWER].decode("utf-8", errors="replace")),
        retry_after=parse_retry_after(response.headers.get("Retry-After"), now),
    )


def _parse_date(value: str) -> datetime | None:
    try:
        instant = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _said(error: Exception, secrets: Collection[str]) -> str:
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return shortened(plain(_without(secrets, text)), LONGEST_DETAIL)


def _without(secrets: Collection[str], text: str) -> str:
    """Before anything is cut: half a secret would not be found any more."""
    for secret in secrets:
        text = text.replace(secret, "[secret]")
    return text
