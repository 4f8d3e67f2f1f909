"""Alerts that an Alertmanager sends: they fire here, and end, like any other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from kokino.clock import SystemClock, iso
from kokino.testing.broker import FLEET, TestBroker
from kokino.testing.clock import ManualClock
from kokino.tokens import Scope
from tests.fixtures.alertmanager import TELLS, running

DISK = {"alertname": "DiskFull", "severity": "critical", "instance": "db-1"}
#: Seconds for an Alertmanager to tell; a second is usual.
PATIENCE = 30.0


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """A whole broker, at the machine's time: the Alertmanager has no other."""
    async with TestBroker(tmp_path / "home", toml=FLEET, clock=ManualClock(SystemClock().now())) as found:
        yield found


def token_of(broker: TestBroker, *scopes: Scope) -> str:
    """A token that the broker accepts."""
    services = broker.broker.services
    return services.tokens.mint("alertmanager", scopes, ends_at=broker.clock.now().replace(year=2100))


def message(*alerts: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The body of a webhook, with the fields that Alertmanager 0.27 sends."""
    return {
        "receiver": "kokino",
        "status": "firing",
        "alerts": list(alerts),
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        **more,
    }


def alert(status: str = "firing", /, **labels: str) -> dict[str, Any]:
    """One alert of it."""
    return {
        "status": status,
        "labels": labels or DISK,
        "annotations": {"summary": "the disk of db-1\nis 97 % full"},
        "startsAt": "2026-01-05T09:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0.expr=1",
        "fingerprint": "0123456789abcdef",
    }


async def tell(
    broker: TestBroker, body: object, *, scopes: tuple[Scope, ...] = (Scope.HOOK,)
) -> httpx.Response:
    """Post it, with a token where there are scopes."""
    headers = {"Authorization": f"Bearer {token_of(broker, *scopes)}"} if scopes else {}
    answer = await broker.http.post("/api/hooks/alertmanager", json=body, headers=headers)
    await broker.settle()
    return answer


async def received(broker: TestBroker) -> list[dict[str, Any]]:
    """The alerts here that came from there."""
    alerts = await broker.get("/api/alerts")
    return [one for one in alerts if one["ruleId"].startswith("alertmanager-")]


async def test_a_real_alertmanager_is_heard(broker: TestBroker, tmp_path: Path) -> None:
    """Its alert opens an incident here with its labels and summary, and ends when it ends there."""
    url = f"{broker.url}/api/hooks/alertmanager"
    configuration = TELLS.format(url=url, token=token_of(broker, Scope.HOOK))
    now = SystemClock().now()
    told = {"labels": DISK, "annotations": {"summary": "97 % full"}, "startsAt": iso(now)}

    async def until(state: str) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while True:
                await broker.settle()
                match await received(broker):
                    case [one] if one["state"] == state:
                        return one
                await asyncio.sleep(0.05)

    async with running(tmp_path / "alertmanager", configuration) as alertmanager:
        await alertmanager.raise_(told)
        fired = await until("firing")
        await alertmanager.raise_({**told, "endsAt": iso(SystemClock().now())})
        ended = await until("resolved")

    assert fired["ruleId"] == "alertmanager-critical"
    assert fired["labels"] == DISK
    assert fired["measured"]["reason"].endswith("97 % full")
    assert ended["alertId"] == fired["alertId"]
    [incident] = (await broker.get("/api/incidents"))["items"]
    assert "DiskFull" in incident["title"]
    assert incident["severity"] == "P1"


async def test_a_message_that_comes_twice_changes_nothing(broker: TestBroker) -> None:
    """Alertmanager repeats; the page goes out once, and with where it came from."""
    first = await tell(broker, message(alert(), alert(**{**DISK, "instance": "db-2"})))
    again = await tell(broker, message(alert(), alert("resolved", alertname="Never", severity="critical")))
    assert first.json() == {"noted": 2, "known": 0, "own": 0, "truncated": 0}
    assert again.json() == {"noted": 0, "known": 2, "own": 0, "truncated": 0}

    assert [one["state"] for one in await received(broker)] == ["firing", "firing"]
    events = await broker.get("/api/metrics/events?type=ALERT_RECEIVED")
    assert len(events) == 2
    [one, *_] = await received(broker)
    assert one["measured"]["link"] == "http://prometheus:9090/graph?g0.expr=1"
    assert one["measured"]["reason"].endswith(": the disk of db-1 is 97 % full")


async def test_what_nobody_repeats_is_over_after_a_day(broker: TestBroker) -> None:
    """An Alertmanager that is gone can never say so; each repeat counts from its own time."""
    await tell(broker, message(alert()))
    await broker.fast_forward(hours=20)
    await tell(broker, message(alert()))
    await broker.fast_forward(hours=23)
    assert [one["state"] for one in await received(broker)] == ["firing"]
    await broker.fast_forward(hours=1)
    [one] = await received(broker)
    assert one["state"] == "resolved"
    told = await broker.get(f"/api/alerts/{one['alertId']}")
    assert "no Alertmanager has repeated it for 1 d" in told["why"][-1]["reason"]


async def test_it_is_silenced_by_the_labels_that_it_came_with(broker: TestBroker) -> None:
    """As every alert is."""
    ends_at = iso(broker.clock.now() + timedelta(hours=1))
    matcher = {"name": "instance", "value": "db-.*", "isRegex": True, "isEqual": True}
    await broker.post("/api/silences", matchers=[matcher], comment="moved", endsAt=ends_at)
    await tell(broker, message(alert()))
    [one] = await received(broker)
    assert one["quiet"]["why"] == "silenced"


async def test_our_own_alerts_do_not_go_round(broker: TestBroker) -> None:
    """What this broker told an Alertmanager comes back when that tells everything; another's is heard."""
    own = broker.broker.services.desk.installation
    body = message(
        alert(alertname="lock-timeout", kokino_installation=own),
        alert(alertname="lock-timeout", kokino_installation="another"),
    )
    answer = await tell(broker, body)
    assert answer.json() == {"noted": 1, "known": 0, "own": 1, "truncated": 0}


@pytest.mark.parametrize(
    ("scopes", "status"),
    [
        pytest.param((), 401, id="nobody says who it is, on loopback too"),
        pytest.param((Scope.OPERATE, Scope.RUN, Scope.READ, Scope.APPROVE), 403, id="good for other things"),
        pytest.param((Scope.HOOK,), 200, id="made for it"),
        pytest.param((Scope.ADMIN,), 200, id="good for everything"),
    ],
)
async def test_whoever_pages_people_says_who_it_is(
    broker: TestBroker, scopes: tuple[Scope, ...], status: int
) -> None:
    """Only a token of the scope hook, or an admin's, will do."""
    answer = await tell(broker, message(), scopes=scopes)
    assert answer.status_code == status
    if status != 200:
        assert "hook" in answer.json()["error"] + answer.json()["detail"]


async def test_a_token_for_the_hook_is_good_for_nothing_else(broker: TestBroker) -> None:
    """It stands in another program's configuration."""
    headers = {"Authorization": f"Bearer {token_of(broker, Scope.HOOK)}"}
    assert (await broker.http.get("/api/alerts", headers=headers)).status_code == 403
    refused = await broker.http.post("/api/pause", json={"scope": "all", "reason": "x"}, headers=headers)
    assert refused.status_code == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        (message(version="3"), "version"),
        (message(alert(**{f"l{number}": "x" for number in range(65)})), "alerts.0.labels"),
        (message({**alert(), "status": "odd"}), "alerts.0.status"),
        (message({**alert(), "startsAt": "soon"}), "alerts.0.startsAt"),
        (message({**alert(), "labels": {}}), "alerts.0.labels"),
        (message({**alert(), "labels": {"a": "\x00"}}), "labels.a"),
    ],
)
async def test_a_message_that_is_none_is_refused_whole(broker: TestBroker, body: Any, field: str) -> None:
    """With the place that is wrong; nothing of it is noted."""
    good = alert(alertname="Good", severity="critical")
    if isinstance(body, dict):
        body = {**body, "alerts": [*body["alerts"], good]}
    answer = await tell(broker, body)
    assert answer.status_code == 422
    assert field in json.dumps(answer.json()["errors"])
    assert await received(broker) == []


async def test_odd_values_are_taken_as_far_as_they_go(broker: TestBroker) -> None:
    """A page is not lost for a long summary, an address that is none, or a year long ago."""
    odd = {
        **alert(),
        "annotations": {"summary": " ", "description": "x" * 2_000},
        "generatorURL": "javascript:alert(1)",
        "startsAt": "0001-01-01T00:00:00Z",
    }
    assert (await tell(broker, message(odd, truncatedAlerts=3))).json()["truncated"] == 3
    [one] = await received(broker)
    assert one["measured"]["reason"].endswith("x…")
    assert len(one["measured"]["reason"]) < 600
    assert "link" not in one["measured"]
