"""A real Prometheus with a real Alertmanager, as fast as they can be set: the peer of our alert engine."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from kokino.testing.http_receiver import HttpReceiver, Request, Response

#: Prometheus takes no shorter interval seriously: below a second most of its time is spent on itself.
INTERVAL = "1s"
#: Debian's names.
PROMETHEUS, ALERTMANAGER = "prometheus", "prometheus-alertmanager"
#: Seconds that either may take to answer.
PATIENCE = 30.0
STEP = 0.05

_RULES = """groups:
  - name: bench
    rules:
      - alert: bad
        expr: bad_executions >= 2
"""


class Exporter(HttpReceiver):
    """What Prometheus scrapes: how many bad executions there were, a series for each round."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: dict[int, int] = {}

    def process(self, request: Request) -> Response:
        lines = [f'bad_executions{{round="{number}"}} {count}\n' for number, count in self.bad.items()]
        return Response(status=200, content="".join(lines).encode())

    def refusal(self, status: int) -> Response:
        return Response(status=status)


class Webhook(HttpReceiver):
    """Where Alertmanager hands a page over; `handed_over` by round."""

    def __init__(self) -> None:
        super().__init__()
        self.handed_over: dict[int, asyncio.Event] = {}

    def process(self, request: Request) -> Response:
        for alert in request.body["alerts"]:
            if alert["status"] == "firing":
                self.handed_over[int(alert["labels"]["round"])].set()
        return Response(status=200)

    def refusal(self, status: int) -> Response:
        return Response(status=status)


@dataclass(slots=True)
class Pair:
    """Both of them, running."""

    exporter: Exporter
    webhook: Webhook
    _round: int = field(default=0)

    async def page(self) -> None:
        """Let two executions be bad; return when the page has been handed over."""
        self._round += 1
        handed_over = self.webhook.handed_over[self._round] = asyncio.Event()
        self.exporter.bad[self._round] = 2
        async with asyncio.timeout(PATIENCE):
            await handed_over.wait()
        del self.exporter.bad[self._round]


@asynccontextmanager
async def pair() -> AsyncIterator[Pair]:
    """Start both, and end both."""
    async with AsyncExitStack() as opened:
        exporter = await opened.enter_async_context(Exporter())
        webhook = await opened.enter_async_context(Webhook())
        folder = Path(opened.enter_context(TemporaryDirectory(prefix="kokino-pair-")))
        alertmanager, prometheus = _free_port(), _free_port()
        _configure(folder, exporter.url, webhook.url, alertmanager)
        await opened.enter_async_context(_running(*_alertmanager(folder, alertmanager)))
        await opened.enter_async_context(_running(*_prometheus(folder, prometheus)))
        for port in (alertmanager, prometheus):
            await _answers(f"http://127.0.0.1:{port}/-/ready")
        yield Pair(exporter, webhook)


def _configure(folder: Path, exporter: str, webhook: str, alertmanager: int) -> None:
    host = exporter.removeprefix("http://")
    (folder / "rules.yaml").write_text(_RULES, encoding="utf-8")
    (folder / "prometheus.yaml").write_text(
        f"global: {{scrape_interval: {INTERVAL}, evaluation_interval: {INTERVAL}}}\n"
        f"rule_files: [{folder}/rules.yaml]\n"
        f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}\n"
        f"scrape_configs: [{{job_name: bench, static_configs: [{{targets: ['{host}']}}]}}]\n",
        encoding="utf-8",
    )
    (folder / "alertmanager.yaml").write_text(
        f"route: {{receiver: page, group_by: [round], group_wait: 0s, group_interval: {INTERVAL}}}\n"
        f"receivers: [{{name: page, webhook_configs: [{{url: '{webhook}/page'}}]}}]\n",
        encoding="utf-8",
    )


def _alertmanager(folder: Path, port: int) -> list[str]:
    return [
        ALERTMANAGER,
        f"--config.file={folder}/alertmanager.yaml",
        f"--storage.path={folder}/alertmanager",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]


def _prometheus(folder: Path, port: int) -> list[str]:
    return [
        PROMETHEUS,
        f"--config.file={folder}/prometheus.yaml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]


@asynccontextmanager
async def _running(*argv: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, env={"PATH": os.environ.get("PATH", os.defpath)}
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def _answers(url: str) -> None:
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient() as http:
        while True:
            try:
                if (await http.get(url)).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(STEP)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
