"""Ask a running broker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import typer

from kokino.errors import KokinoError

#: Where a broker is looked for when nothing else is said.
DEFAULT_URL = "http://127.0.0.1:5050"


class NoBroker(KokinoError):
    """Nobody listens where a broker was looked for."""


class Refused(KokinoError):
    """The broker answered with an error."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(f"the broker refused: {_said(answer)}")
        #: What it answered.
        self.answer = answer


Url = Annotated[str, typer.Option("--url", envvar="KOKINO_URL", help="Where the broker answers.")]


#: How long an answer may take, in seconds, unless more is asked for.
PATIENCE = 30.0


def get(url: str, path: str, patience: float = PATIENCE, /, **query: str | int) -> Any:
    """The JSON at `path`. Raises `KokinoError` with the broker's own words, or that there is no broker."""
    return _ask("GET", url, path, patience, params=query).json()


def content(url: str, path: str, **query: str | int) -> bytes:
    """What is at `path`, byte for byte. Raises as `get` does."""
    return _ask("GET", url, path, PATIENCE, params=query).content


def post(url: str, path: str, patience: float = PATIENCE, /, **body: Any) -> Any:
    """The JSON that sending `body` to `path` is answered with. Raises as `get` does."""
    return _ask("POST", url, path, patience, json=body).json()


def delete(url: str, path: str) -> Any:
    """The JSON that deleting what is at `path` is answered with. Raises as `get` does."""
    return _ask("DELETE", url, path, PATIENCE).json()


def pages(url: str, path: str, **query: str | int) -> Iterator[Any]:
    """Every item of a list that is answered in pages. Raises as `get` does."""
    page = get(url, path, **query)
    yield from page["items"]
    while page["nextCursor"] is not None:
        page = get(url, path, **query, cursor=page["nextCursor"])
        yield from page["items"]


def _ask(method: str, url: str, path: str, patience: float, **more: Any) -> httpx.Response:
    if not url.startswith(("http://", "https://")):
        raise KokinoError(
            f"{url!r} is no address of a broker: give --url with http://, such as {DEFAULT_URL}"
        )
    token = os.environ.get("KOKINO_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx.request(method, f"{url.rstrip('/')}{path}", headers=headers, timeout=patience, **more)
    except httpx.HTTPError as error:
        kind = NoBroker if isinstance(error, httpx.ConnectError) else KokinoError
        raise kind(
            f"no broker answers at {url} ({error}): start one with `kokino serve`, or give --url"
        ) from error
    if answer.is_error:
        raise Refused(answer)
    return answer


def _said(answer: httpx.Response) -> str:
    """Its reason, and what is wrong with each field where the reason does not name them itself."""
    try:
        problem = answer.json()
        detail = str(problem["detail"])
        faults = [f"{fault['field']}: {fault['message']}" for fault in problem.get("errors", ())]
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"HTTP {answer.status_code}"
    return ": ".join([detail, *filter(None, ["; ".join(one for one in faults if one not in detail)])])
