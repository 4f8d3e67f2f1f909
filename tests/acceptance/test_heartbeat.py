"""A whole broker and a dead man's switch: who watches the one who watches."""

from __future__ import annotations

from pathlib import Path

import pytest

from kokino.testing.broker import FLEET, TestBroker
from kokino.testing.http_receiver import HttpReceiver, Request, Response


class Switch(HttpReceiver):
    """Takes whatever it hears for a sign of life."""

    def process(self, request: Request) -> Response:
        return Response(status=200)

    def refusal(self, status: int) -> Response:
        return Response(status=status)


async def test_the_switch_hears_of_the_broker_until_its_rules_are_no_longer_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a minute; `/readyz` says why it does not, and is ready all the same once rules are looked at."""
    async with Switch() as switch:
        toml = f'{FLEET}\n[alerting]\nheartbeat_url_env = "SWITCH"\n'
        environment = {"SWITCH": f"{switch.url}/secret"}
        async with TestBroker(tmp_path, toml=toml, environment=environment) as broker:
            await broker.fast_forward(minutes=5)
            assert len(switch.requests) == 6
            assert (await broker.get("/readyz"))["heartbeat"] == "ok"

            def fail(*_: object) -> None:
                raise ValueError("no look today")

            with monkeypatch.context() as patched:
                patched.setattr(broker.broker.services.alert_rules, "_looks", fail)
                await broker.execute("writer")
                await broker.fast_forward(minutes=5)
            assert len(switch.requests) == 6
            await broker.fast_forward(seconds=30)
            ready = await broker.get("/readyz")
            assert ready["status"] == "ok"
            assert ready["heartbeat"] == "not sent, for a look at the alert rules has failed"

            await broker.fast_forward(minutes=2)
            assert len(switch.requests) >= 7
            assert (await broker.get("/readyz"))["heartbeat"] == "ok"
            metrics = (await broker.http.get("/metrics")).text
            assert "kokino_heartbeat_up 1.0" in metrics
            assert "secret" not in metrics


async def test_without_an_address_there_is_no_heartbeat(tmp_path: Path) -> None:
    """And the broker says so."""
    async with TestBroker(tmp_path) as broker:
        assert (await broker.get("/readyz"))["heartbeat"] == "off"
        assert "kokino_heartbeat" not in (await broker.http.get("/metrics")).text
