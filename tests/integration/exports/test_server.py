"""A real Prometheus that scrapes what a broker shows, and evaluates the exported rules."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kokino.alerts import store as alert_store
from kokino.alerts.model import Phase
from kokino.alerts.module import AlertRules
from kokino.alerts.rulefile import packaged
from kokino.clock import SystemClock
from kokino.executions.store import users_running
from kokino.exports import written
from kokino.exports.counters import TURN_AGE
from kokino.slo.defaults import defaults
from kokino.storage import Storage
from kokino.telemetry import exposition
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import END_TYPES, Event, EventType
from kokino.testing.ids import SequentialIds
from tests.integration.exports.promtool import URL
from tests.ports import a_port

#: How long anything may take before the test gives up; it takes a few seconds.
PATIENCE = 60
SECOND = timedelta(seconds=1)
CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: kokino
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class LookedAt(Collector):
    """What a broker shows that has looked at its rules just now."""

    def collect(self) -> Iterator[Metric]:
        """Its one metric."""
        yield GaugeMetricFamily(TURN_AGE, "How long ago.", value=0)


@asynccontextmanager
async def metrics(storage: Storage) -> AsyncIterator[int]:
    """A port that answers every request with what a broker shows at ``/metrics``."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        now = SystemClock().now()
        shown = await storage.read(
            lambda conn: exposition.snapshot(conn, now=now, running=users_running(conn))
        )
        text = exposition.render(shown, more=[LookedAt()])
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {exposition.CONTENT_TYPE}\r\nContent-Length: {len(text)}\r\n"
        )
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + text)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@contextmanager
def prometheus(scraped: int, folder: Path) -> Iterator[str]:
    """A Prometheus with the exported rules; where it answers."""
    rules = written.prometheus(None, interval=SECOND, public_url=URL)
    (folder / "rules.yaml").write_text(rules.text, encoding="utf-8")
    (folder / "prometheus.yml").write_text(CONFIGURATION.format(port=scraped), encoding="utf-8")
    port = a_port()
    command = [
        "prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


class Both:
    """Our own code and a Prometheus, which see the same."""

    def __init__(self, storage: Storage, url: str) -> None:
        self.storage = storage
        self.url = url
        self.module = AlertRules(
            storage, SequentialIds(), packaged(), defaults(), knows_running=users_running
        )

    async def happen(self, *types: EventType) -> None:
        """These events happen now, and our rules are looked at."""
        now = SystemClock().now()
        events = [Event(type=type, at=now, agent_id="a", cli_type="gemini") for type in types]
        await self.storage.write(lambda conn: [telemetry.append(conn, event) for event in events])
        await self.module.run(now)

    async def ours(self) -> set[str]:
        """The alerts that fire by our own code."""
        found = await self.storage.read(alert_store.listed)
        return {alert.rule_id for alert in found if alert.state is Phase.FIRING}

    async def theirs(self) -> set[str]:
        """Those that fire by Prometheus."""
        alerts = await self._get("/api/v1/alerts")
        return {one["labels"]["alertname"] for one in alerts["alerts"] if one["state"] == "firing"}

    async def counts(self) -> bool:
        """True once Prometheus has recorded that nothing has failed."""
        found = await self._get("/api/v1/query", query="kokino:availability_slo_breach:bad_1h")
        return bool(found["result"])

    async def _get(self, path: str, **query: str) -> Any:
        nothing: Any = {"alerts": [], "result": []}
        async with httpx.AsyncClient() as client:
            try:
                answer = await client.get(f"{self.url}{path}", params=query)
            except httpx.TransportError:  # it has not come up yet
                return nothing
        # While it reads its own storage it answers, and knows nothing yet.
        return answer.json()["data"] if answer.is_success else nothing


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for it; what takes too long fails."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("new_storage_url", ["sqlite"], indirect=True)
async def test_a_prometheus_fires_and_resolves_with_us(storage: Storage, tmp_path: Path) -> None:
    """Three failures page, an open circuit fires until it is closed; the watchdog fires all the while."""
    async with metrics(storage) as port:
        with prometheus(port, tmp_path) as url:
            both = Both(storage, url)
            await both.happen()
            await until(both.counts)

            async def agree(expected: set[str]) -> bool:
                return await both.ours() == expected and await both.theirs() == expected

            await until(lambda: agree({"watchdog"}))
            await both.happen(*[END_TYPES["failed"]] * 3, EventType.CIRCUIT_OPENED)
            lasting = {"watchdog", "availability-slo-breach", "availability-budget-burn"}
            await until(lambda: agree({*lasting, "circuit-breaker-opened"}))
            await both.happen(EventType.CIRCUIT_CLOSED)
            await until(lambda: agree(lasting))
