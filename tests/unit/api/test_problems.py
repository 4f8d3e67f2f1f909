"""One shape for everything that goes wrong, and one for times and names."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import structlog.testing
from fastapi import FastAPI

from kokino.api import problems
from kokino.api.shapes import Body, Page, Shape, Time
from kokino.api.sse import event
from kokino.errors import Fault, Invalid, KokinoError, NotFound, QueueFull


class Asked(Body):
    """A body of the test's own."""

    agent_id: str
    limit: int = 1


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that fails in every way."""
    app = FastAPI()
    problems.install(app)
    errors: dict[str, Exception] = {
        "full": QueueFull("come back later", retry_after=timedelta(seconds=1.2)),
        "gone": NotFound("there is no agent 'a'"),
        "invalid": Invalid("two faults", [Fault(field="a", message="x"), Fault(field="b", message="y")]),
        "bug": ZeroDivisionError("with /secret/path in it"),
    }

    @app.post("/body")
    async def body(asked: Asked) -> dict[str, str]:
        return {"agentId": asked.agent_id}

    @app.get("/fail/{name}")
    async def fail(name: str) -> None:
        raise errors[name]

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


def assert_problem(answer: httpx.Response, status: int, error: str) -> dict[str, Any]:
    """The problem, whose fixed part is as RFC 9457 has it."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert (found["status"], found["error"]) == (status, error)
    assert found["type"] == f"{problems.TYPES}{error.replace('_', '-')}"
    assert found["title"]
    return found


async def test_our_own_errors_keep_their_status_and_word(http: httpx.AsyncClient) -> None:
    """And their message is the detail."""
    found = assert_problem(await http.get("/fail/gone"), 404, "not_found")
    assert found["detail"] == "there is no agent 'a'"


async def test_when_to_come_back_is_rounded_up(http: httpx.AsyncClient) -> None:
    """Retry-After knows whole seconds; too early would be in vain."""
    answer = await http.get("/fail/full")
    assert_problem(answer, 429, "queue_full")
    assert answer.headers["retry-after"] == "2"


async def test_all_faults_are_listed(http: httpx.AsyncClient) -> None:
    """Each with its field."""
    found = assert_problem(await http.get("/fail/invalid"), 422, "invalid")
    assert found["errors"] == [{"field": "a", "message": "x"}, {"field": "b", "message": "y"}]


async def test_a_faulty_body_names_every_field(http: httpx.AsyncClient) -> None:
    """What is missing, of the wrong type, or unknown, by the name that the client used."""
    found = assert_problem(await http.post("/body", json={"limit": "x", "agentID": "a"}), 422, "invalid")
    said = {fault["field"]: fault["message"] for fault in found["errors"]}
    assert set(said) == {"agentId", "limit", "agentID"}
    assert said["agentId"] == "is missing"
    assert said["agentID"] == "is no field of this request; did you mean 'agentId'?"
    assert "agentId: is missing" in found["detail"]


async def test_of_very_many_faults_the_first_are_told(http: httpx.AsyncClient) -> None:
    """Words for each of a million would keep every other request waiting."""
    body = {f"unknown{number}": 1 for number in range(150)}
    found = assert_problem(await http.post("/body", json=body), 422, "invalid")
    assert len(found["errors"]) == 100
    assert found["detail"].endswith("; and 51 more")


async def test_a_body_that_is_no_object_is_told_what_it_should_be(http: httpx.AsyncClient) -> None:
    """In the words of JSON, not of a validator."""
    found = assert_problem(await http.post("/body", json=[]), 422, "invalid")
    assert found["detail"] == 'body: must be a JSON object, {"name": value, ...}'


async def test_text_that_is_no_json_is_400_with_its_place(http: httpx.AsyncClient) -> None:
    """Not 422: nothing in it could be judged."""
    answer = await http.post("/body", content=b'{"agentId": ', headers={"content-type": "application/json"})
    found = assert_problem(answer, 400, "malformed_json")
    assert found["detail"].startswith("the body is not JSON: ")
    assert found["detail"].endswith("at character 12")


async def test_an_unknown_address_says_where_the_known_ones_are(http: httpx.AsyncClient) -> None:
    """And a wrong method keeps its Allow."""
    found = assert_problem(await http.get("/nowhere"), 404, "not_found")
    assert found["detail"] == "there is nothing at /nowhere; /openapi.json lists what there is"
    answer = await http.get("/body")
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


async def test_a_bug_is_logged_whole_and_told_without_its_inside(http: httpx.AsyncClient) -> None:
    """The client gets no path and no trace."""
    with structlog.testing.capture_logs() as told:
        answer = await http.get("/fail/bug")
    found = assert_problem(answer, 500, "internal")
    assert "secret" not in json.dumps(found)
    assert [(record["event"], record["path"]) for record in told] == [("a request failed", "/fail/bug")]


def test_an_error_without_more_has_no_more() -> None:
    """No empty lists, no header."""
    answer = problems.of_error(KokinoError("x"))
    assert set(json.loads(bytes(answer.body))) == {"type", "title", "status", "error", "detail"}
    assert "retry-after" not in answer.headers


class Seen(Shape):
    """An answer of the test's own."""

    last_seen_at: Time
    never_at: Time | None = None


def test_answers_are_camel_case_with_utc_times() -> None:
    """``2026-01-05T09:00:00.000Z``, and null where there is none."""
    at = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
    page = Page[Seen](items=[Seen(last_seen_at=at)])
    assert page.model_dump(mode="json", by_alias=True) == {
        "items": [{"lastSeenAt": "2026-01-05T09:00:00.000Z", "neverAt": None}],
        "nextCursor": None,
    }


def test_an_event_is_one_block_whatever_it_carries() -> None:
    """A newline in a value cannot end it early."""
    assert event("record", {"body": "a\n\nevent: end"}, number=3) == (
        b'event: record\nid: 3\ndata: {"body":"a\\n\\nevent: end"}\n\n'
    )
    assert event("end", {}) == b"event: end\ndata: {}\n\n"
