"""Every wrong request gets one shape of answer, with the field and the next step, and nothing happens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from kokino.testing.broker import TestBroker
from tests.fixtures.postgresql import Cluster

TOML = """
[[agents]]
id = "writer"
cli_type = "scripted"
cwd = "."
"""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
async def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[TestBroker]:
    """One broker with one agent for all of these, which change nothing; on each database."""
    home = tmp_path_factory.mktemp("bad-requests") / "home"
    if request.param == "sqlite":
        async with TestBroker(home, TOML) as started:
            yield started
        return
    cluster: Cluster = request.getfixturevalue("postgresql_cluster")
    with cluster.database("bad_requests") as url:
        async with TestBroker(home, TOML, database_url=url) as started:
            yield started


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One wrong request and what it must be answered."""

    name: str
    method: str = "POST"
    path: str = "/agents/writer/execute"
    content: bytes | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    status: int
    error: str
    #: What the detail must say: what is wrong, and what would be right.
    says: tuple[str, ...]
    #: The fields that ``errors`` must name.
    fields: tuple[str, ...] = ()


HELLO = {"prompt": "hello"}
JSON = {"Content-Type": "application/json"}
CASES = (
    Case(
        name="an unknown agent",
        path="/agents/nobody/execute",
        body=HELLO,
        status=404,
        error="not_found",
        says=("'nobody'", "GET /agents"),
    ),
    Case(
        name="an id that walks up",
        path="/agents/..%2F..%2Fetc%2Fpasswd/execute",
        body=HELLO,
        status=404,
        error="not_found",
        says=("/openapi.json",),
    ),
    Case(
        name="an id with shell characters",
        path="/agents/$(reboot);%60id%60/execute",
        body=HELLO,
        status=404,
        error="not_found",
        says=("$(reboot);`id`",),
    ),
    Case(
        name="an id with shell characters that is to be registered",
        path="/agents/register",
        body={"agentId": "a; rm -rf /", "cliType": "scripted", "cwd": "/tmp"},
        status=422,
        error="invalid",
        says=("agentId", "letter or digit"),
        fields=("agentId",),
    ),
    Case(
        name="an id with a slash that is to be registered",
        path="/agents/register",
        body={"agentId": "../writer", "cliType": "scripted", "cwd": "/tmp"},
        status=422,
        error="invalid",
        says=("agentId",),
        fields=("agentId",),
    ),
    Case(
        name="an id that is a word of the API",
        path="/agents/register",
        body={"agentId": "sessions", "cliType": "scripted", "cwd": "/tmp"},
        status=422,
        error="invalid",
        says=("agentId", "reserved"),
        fields=("agentId",),
    ),
    Case(
        name="everything wrong at once",
        path="/agents/register",
        body={"agentId": "-", "cliType": "nothing", "cwd": "/no/such/folder", "fallback": "nowhere"},
        status=422,
        error="invalid",
        says=("agentId", "no CLI type 'nothing'; known: ", "'/no/such/folder' is no folder here; create it"),
        fields=("agentId", "cliType", "fallback", "cwd"),
    ),
    Case(
        name="a fallback to where it is",
        path="/agents/register",
        body={"agentId": "new", "cliType": "scripted", "cwd": "/tmp", "fallback": "scripted"},
        status=422,
        error="invalid",
        says=("fallback", "is its own CLI type"),
        fields=("fallback",),
    ),
    Case(
        name="a field that nobody knows",
        path="/agents/register",
        body={"agentId": "new", "cliType": "scripted", "cwd": "/tmp", "modle": "opus"},
        status=422,
        error="invalid",
        says=("modle", "is no field of this request; did you mean 'mode'?"),
        fields=("modle",),
    ),
    Case(
        name="a relative working directory",
        path="/agents/register",
        body={"agentId": "new", "cliType": "scripted", "cwd": "work"},
        status=422,
        error="invalid",
        says=("cwd", "absolute path"),
        fields=("cwd",),
    ),
    Case(
        name="malformed JSON",
        content=b'{"prompt": hello}',
        headers=JSON,
        status=400,
        error="malformed_json",
        says=("not JSON", "at character 11"),
    ),
    Case(
        name="bytes that are no text",
        content=b"\xff\xfe\x00",
        headers=JSON,
        status=400,
        error="malformed_json",
        says=("not JSON",),
    ),
    Case(
        name="a deeply nested body",
        content=b"[" * 200_000,
        headers=JSON,
        status=400,
        error="malformed_json",
        says=("not JSON",),
    ),
    Case(
        name="no body",
        headers=JSON,
        status=422,
        error="invalid",
        says=("body", "is missing"),
        fields=("body",),
    ),
    Case(
        name="a form",
        content=b"prompt=hello",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        status=415,
        error="unsupported_media_type",
        says=("send Content-Type: application/json",),
    ),
    Case(
        name="JSON that is said to be text",
        content=json.dumps(HELLO).encode(),
        headers={"Content-Type": "text/plain"},
        status=415,
        error="unsupported_media_type",
        says=("send Content-Type: application/json",),
    ),
    Case(
        name="no prompt",
        body={},
        status=422,
        error="invalid",
        says=("prompt", "is missing"),
        fields=("prompt",),
    ),
    Case(
        name="an empty prompt",
        body={"prompt": ""},
        status=422,
        error="invalid",
        says=("prompt", "empty"),
        fields=("prompt",),
    ),
    Case(
        name="a prompt of blanks",
        body={"prompt": " \n\t"},
        status=422,
        error="invalid",
        says=("prompt", "empty"),
        fields=("prompt",),
    ),
    Case(
        name="a prompt with a NUL",
        body={"prompt": "a\0b"},
        status=422,
        error="invalid",
        says=("NUL",),
        fields=("prompt",),
    ),
    Case(
        name="a prompt with half a character",
        content=b'{"prompt": "\\ud83d"}',
        headers=JSON,
        status=422,
        error="invalid",
        says=("prompt",),
        fields=("prompt",),
    ),
    Case(
        name="a prompt of 20 MB",
        body={"prompt": "x" * 20_000_000},
        status=413,
        error="too_large",
        says=("12,000,000 bytes", "put a long prompt in a file"),
    ),
    Case(
        name="a prompt over what CLIs take",
        body={"prompt": "x" * 8_388_609},
        status=413,
        error="too_large",
        says=("8,388,609", "8,388,608", "put it in a file"),
    ),
    Case(
        name="a deadline of no length",
        body={"prompt": "hello", "timeoutMs": 0},
        status=422,
        error="invalid",
        says=("timeoutMs", "greater than 0"),
        fields=("timeoutMs",),
    ),
    Case(
        name="a deadline in words",
        body={"prompt": "hello", "timeoutMs": "soon"},
        status=422,
        error="invalid",
        says=("timeoutMs", "integer"),
        fields=("timeoutMs",),
    ),
    Case(
        name="text that is none, deep inside",
        content=b'{"prompt": "hello", "metadata": {"a": ["x", "y\\u0000z"], "\\ud83d": "\\ud83d"}}',
        headers=JSON,
        status=422,
        error="invalid",
        says=("metadata.a.1: holds a NUL character", "half a surrogate pair"),
        fields=("metadata.a.1",),
    ),
    Case(
        name="a NUL in a path",
        method="GET",
        path="/agents/writer%00",
        status=422,
        error="invalid",
        says=("%00", "leave it out"),
    ),
    Case(
        name="a NUL in a query",
        method="GET",
        path="/api/metrics/events?agent=%00",
        status=422,
        error="invalid",
        says=("%00", "leave it out"),
    ),
    Case(
        name="a folder's name beyond what names are",
        path="/agents/register",
        body={"agentId": "new", "cliType": "scripted", "cwd": "/" + "x" * 100_000},
        status=422,
        error="invalid",
        says=("cwd", "too long"),
        fields=("cwd",),
    ),
    Case(
        name="folders that a terminal would obey",
        path="/agents/register",
        body={
            "agentId": "new",
            "cliType": "scripted",
            "cwd": "/tmp/\x1b]0;x\x07",
            "env": {"HOME": "/tmp/\nrm", "NOTE": "two\nlines"},
        },
        status=422,
        error="invalid",
        says=(r"'/tmp/\x1b]0;x\x07' holds a control", r"HOME: '/tmp/\nrm' holds a control"),
        fields=("cwd", "env"),
    ),
    Case(
        name="a variable without a name",
        path="/agents/register",
        body={"agentId": "new", "cliType": "scripted", "cwd": "/tmp", "env": {"A=B": "c"}},
        status=422,
        error="invalid",
        says=("env", "'A=B' is no name of a variable"),
        fields=("env",),
    ),
    Case(
        name="a foreign Host",
        method="GET",
        path="/api/slo/status",
        headers={"Host": "rebound.example:5050"},
        status=403,
        error="denied",
        says=("'rebound.example:5050'", "server.public_url"),
    ),
    Case(
        name="a foreign Origin",
        body=HELLO,
        headers={"Origin": "https://evil.example"},
        status=403,
        error="denied",
        says=("'https://evil.example'", "refused"),
    ),
    Case(
        name="another site's page",
        body=HELLO,
        headers={"Sec-Fetch-Site": "cross-site"},
        status=403,
        error="denied",
        says=("other sites' pages",),
    ),
    Case(
        name="another site's stream",
        method="GET",
        path="/executions/exec-1/events",
        headers={"Origin": "https://evil.example", "Accept": "text/event-stream"},
        status=403,
        error="denied",
        says=("refused",),
    ),
    Case(
        name="a token that is none",
        method="GET",
        path="/agents",
        headers={"Authorization": "Bearer nonsense"},
        status=401,
        error="unauthenticated",
        says=("token",),
    ),
    Case(
        name="an unknown execution",
        method="GET",
        path="/executions/exec-nothing",
        status=404,
        error="not_found",
        says=("'exec-nothing'", "GET /executions"),
    ),
    Case(
        name="an unknown execution's records",
        method="GET",
        path="/executions/exec-nothing/events",
        status=404,
        error="not_found",
        says=("'exec-nothing'", "GET /executions"),
    ),
    Case(
        name="an unknown execution to cancel",
        path="/executions/exec-nothing/cancel",
        status=404,
        error="not_found",
        says=("'exec-nothing'", "GET /executions"),
    ),
    Case(
        name="a state that is none",
        method="GET",
        path="/executions?state=resting",
        status=422,
        error="invalid",
        says=("state", "'queued', 'running'"),
        fields=("state",),
    ),
    Case(
        name="a limit over the limit",
        method="GET",
        path="/executions?limit=100000",
        status=422,
        error="invalid",
        says=("limit", "less than or equal to 1000"),
        fields=("limit",),
    ),
    Case(
        name="a cursor that no answer gave",
        method="GET",
        path="/executions?cursor=abc",
        status=422,
        error="invalid",
        says=("cursor", "integer"),
        fields=("cursor",),
    ),
    Case(
        name="a number beyond every number",
        method="GET",
        path=f"/executions?cursor={10**30}",
        status=422,
        error="invalid",
        says=("cursor", "less than"),
        fields=("cursor",),
    ),
    Case(
        name="an instant that is none",
        method="GET",
        path="/api/metrics/events?since=yesterday",
        status=422,
        error="invalid",
        says=("since", "datetime"),
        fields=("since",),
    ),
    Case(
        name="a period that is none",
        method="GET",
        path="/api/metrics/slo?period=hourly",
        status=422,
        error="invalid",
        says=("period", "'daily', 'weekly' or 'monthly'"),
        fields=("period",),
    ),
    Case(
        name="an unknown CLI type to examine",
        method="GET",
        path="/api/health/environment?cli=nothing",
        status=404,
        error="not_found",
        says=("'nothing'", "known: "),
    ),
    Case(
        name="an unknown CLI type to disable",
        path="/api/fallback/cli/disable",
        body={"cliType": "nothing", "reason": "why not"},
        status=404,
        error="not_found",
        says=("'nothing'", "known: "),
    ),
    Case(
        name="an unknown CLI type to enable",
        path="/api/fallback/cli/enable",
        body={"cliType": "nothing"},
        status=404,
        error="not_found",
        says=("'nothing'", "known: "),
    ),
    Case(
        name="disabling without a reason",
        path="/api/fallback/cli/disable",
        body={"cliType": "scripted", "reason": ""},
        status=422,
        error="invalid",
        says=("reason", "must not be empty"),
        fields=("reason",),
    ),
    Case(
        name="a pause of everything that names something",
        path="/api/pause",
        body={"scope": "all", "id": "writer"},
        status=422,
        error="invalid",
        says=("id", "must be left out"),
        fields=("id",),
    ),
    Case(
        name="an unknown incident",
        method="GET",
        path="/api/incidents/INC-99",
        status=404,
        error="not_found",
        says=("INC-99",),
    ),
    Case(
        name="an incident that is no incident's id",
        method="GET",
        path="/api/incidents/seven",
        status=404,
        error="not_found",
        says=("seven", "INC-7"),
    ),
    Case(
        name="an unknown alert",
        method="GET",
        path="/api/alerts/alert-nothing",
        status=404,
        error="not_found",
        says=("'alert-nothing'",),
    ),
    Case(
        name="an unknown playbook",
        method="GET",
        path="/api/playbooks/nothing",
        status=404,
        error="not_found",
        says=("'nothing'",),
    ),
    Case(
        name="an unknown playbook run",
        method="GET",
        path="/api/playbook-runs/run-nothing",
        status=404,
        error="not_found",
        says=("'run-nothing'", "GET /api/playbook-runs"),
    ),
    Case(
        name="a path where nothing is",
        method="GET",
        path="/api/nothing/here",
        status=404,
        error="not_found",
        says=("/api/nothing/here", "/openapi.json"),
    ),
    Case(
        name="a method that is not for this path",
        method="GET",
        path="/agents/writer/execute",
        status=405,
        error="method_not_allowed",
        says=("POST",),
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_what_is_wrong_is_said_in_one_shape(broker: TestBroker, case: Case) -> None:
    """Status, word and a detail that names what is wrong and the next step; no execution is accepted."""
    await check(broker, case)
    assert (await broker.get("/executions"))["items"] == []
    assert [agent["agentId"] for agent in (await broker.get("/agents"))["items"]] == ["writer"]


async def check(broker: TestBroker, case: Case) -> None:
    """Send the case's request and judge the answer."""
    content = {"json": case.body} if case.body is not None else {"content": case.content}
    answer = await broker.http.request(case.method, case.path, headers=case.headers, **content)
    problem = answer.json()
    assert (answer.status_code, problem["error"]) == (case.status, case.error), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == case.status
    assert problem["title"]
    assert problem["type"].endswith(case.error.replace("_", "-"))
    assert [word for word in case.says if word not in problem["detail"]] == [], problem["detail"]
    assert {fault["field"] for fault in problem.get("errors", [])} >= set(case.fields)


async def test_a_body_without_a_length_is_cut_off(broker: TestBroker) -> None:
    """A chunked body that never says how long it is ends at the limit, not in memory."""

    async def endless() -> AsyncIterator[bytes]:
        yield b'{"prompt": "'
        for _ in range(20):
            yield b"x" * 1_000_000
        yield b'"}'

    answer = await broker.http.post("/agents/writer/execute", content=endless(), headers=JSON)

    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert (await broker.get("/executions"))["items"] == []


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/executions?agentId=writer", "agentId: is no parameter of this request; did you mean 'agent'?"),
        ("/executions?stat=failed&limit=4", "stat: is no parameter of this request; did you mean 'state'?"),
        ("/api/slo/status?window=1h", "window: is no parameter of this request; known: none"),
    ],
)
async def test_an_unknown_query_parameter_is_refused(broker: TestBroker, address: str, said: str) -> None:
    """Rows that were not filtered must not look as if they were."""
    answer = await broker.http.get(address)
    assert answer.status_code == 422
    assert answer.json()["detail"] == said
