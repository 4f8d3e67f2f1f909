"""A whole broker and a real Alertmanager: an outage is seen there while it lasts, the watchdog always."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kokino.clock import SystemClock
from kokino.testing.broker import FLEET, TestBroker
from kokino.testing.clock import ManualClock
from kokino.testing.http_receiver import HttpReceiver, Request, Response
from tests.fixtures.alertmanager import Alertmanager


class Cluster(HttpReceiver):
    """Takes everything and forgets nothing."""

    def process(self, request: Request) -> Response:
        return Response(status=200)

    def refusal(self, status: int) -> Response:
        return Response(status=status)


async def names(alertmanager: Alertmanager) -> list[str]:
    """What fires there."""
    return sorted(one["labels"]["alertname"] for one in await alertmanager.firing())


def broker_for(home: Path, url: str, *, behind: timedelta = timedelta()) -> TestBroker:
    """A broker whose clock is so far behind the Alertmanager's, which is the machine's."""
    receiver = f"""
    [receivers.prometheus]
    type = "alertmanager"
    urls = ["{url}"]
    watchdog = true
    """
    return TestBroker(home, toml=FLEET + receiver, clock=ManualClock(SystemClock().now() - behind))


async def test_an_outage_fires_and_resolves_at_an_alertmanager(
    tmp_path: Path, alertmanager: Alertmanager
) -> None:
    """With the labels and links of its alert; a repeat after the end does not raise it again."""
    async with broker_for(tmp_path, alertmanager.url, behind=timedelta(minutes=30)) as broker:
        for _ in range(3):
            await broker.execute("writer", "script: fail auth")
        await broker.fast_forward(minutes=1)
        [shown] = [
            one
            for one in await alertmanager.firing()
            if one["labels"]["alertname"] == "availability-slo-breach"
        ]
        assert shown["labels"]["severity"] == "critical"
        assert shown["labels"]["owner"] == "@backend-team"
        assert shown["generatorURL"].startswith(f"{broker.url}/incidents/INC-")

        await broker.fast_forward(minutes=6)
        assert "availability-slo-breach" in await names(alertmanager)
        for _ in range(4):
            await broker.execute("reviewer")
        await broker.fast_forward(minutes=3)
        assert "availability-slo-breach" not in await names(alertmanager)


async def test_the_watchdog_fires_at_an_alertmanager(tmp_path: Path, alertmanager: Alertmanager) -> None:
    """From the start, though it disturbs nobody else."""
    async with broker_for(tmp_path, alertmanager.url) as broker:
        await broker.settle()
        assert await names(alertmanager) == ["watchdog"]


async def test_the_watchdog_is_no_sign_of_life_of_a_broker_that_does_not_look_at_its_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is repeated each minute, and not while a look fails."""
    async with Cluster() as cluster, broker_for(tmp_path, cluster.url) as broker:

        def fail(*_: object) -> None:
            raise ValueError("no look today")

        await broker.fast_forward(minutes=2)
        heard = len(cluster.requests)
        with monkeypatch.context() as patched:
            patched.setattr(broker.broker.services.alert_rules, "_looks", fail)
            await broker.execute("writer")
            await broker.fast_forward(minutes=3)
        silent = len(cluster.requests) - heard
        await broker.fast_forward(minutes=3)

    assert (heard, silent) == (3, 0)
    assert len(cluster.requests) >= heard + 2
    told = [one["labels"]["alertname"] for request in cluster.requests for one in request.body]
    assert set(told) == {"watchdog"}


async def test_what_fires_is_said_again_each_minute_until_it_is_over(tmp_path: Path) -> None:
    """An Alertmanager that was restarted knows of nothing."""
    async with Cluster() as cluster, broker_for(tmp_path, cluster.url) as broker:
        for _ in range(3):
            await broker.execute("writer", "script: fail auth")
        await broker.fast_forward(minutes=6)
        for _ in range(4):
            await broker.execute("reviewer")
        await broker.fast_forward(minutes=5)

    told = [one for request in cluster.requests for one in request.body]
    about = [one for one in told if one["labels"]["alertname"] == "availability-slo-breach"]
    assert len({tuple(sorted(one["labels"].items())) for one in about}) == 1
    is_over = ["startsAt" not in one for one in about]
    assert is_over.count(False) > 6
    assert is_over == sorted(is_over)  # nothing fires behind its end
    assert is_over.count(True) > 1  # which is said again, for who may not have heard it
