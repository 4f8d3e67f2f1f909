"""How long it takes from a bad execution to the page that is handed over."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.prometheus_pair import PATIENCE, pair
from benchmarks.result import Benchmark, Figure, Unit
from benchmarks.statistics import bootstrap, median, p95
from kokino.app import Broker
from kokino.config import FILE_NAME, load
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import END_TYPES, Event
from kokino.testing.http_receiver import Request, Response
from kokino.testing.receivers import ROUTING_KEY, RecordingPagerDuty

ROUNDS, QUICK_ROUNDS = 40, 2
#: Prometheus looks once a second: without a pause of any length a round would always begin at the same
#: instant of its second, just after the page of the one before.
SPREAD = 1.0
SEED = 20260105


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Seconds from the second bad execution to the page."""

    kokino: float
    pair: float


class Pager(RecordingPagerDuty):
    """PagerDuty that says when it was first asked to page."""

    def __init__(self) -> None:
        super().__init__()
        self.rang = asyncio.Event()

    def process(self, request: Request) -> Response:
        self.rang.set()
        return super().process(request)


async def run(folder: Path, is_quick: bool) -> list[Figure]:
    """In turn: Kokino from the commit of the second bad end, the pair from the second bad count."""
    dice = random.Random(SEED)  # noqa: S311 - spreads the rounds, guards nothing
    rounds = []
    async with pair() as peer:
        for number in range(QUICK_ROUNDS if is_quick else ROUNDS):
            async with _broker(folder / str(number)) as (broker, pager):
                ours = await _timed(lambda broker=broker, pager=pager: _page(broker, pager))  # type: ignore[misc]
            await asyncio.sleep(dice.uniform(0, SPREAD))
            rounds.append(Round(kokino=ours, pair=await _timed(peer.page)))
    return _figures(rounds)


@asynccontextmanager
async def _broker(home: Path) -> AsyncIterator[tuple[Broker, Pager]]:
    """A fresh one for each round: an alert that fires pages once."""
    await asyncio.to_thread(home.mkdir, parents=True)
    async with Pager() as pager:
        (home / FILE_NAME).write_text(
            "[receivers.oncall]\n"
            'type = "pagerduty"\n'
            f'url = "{pager.url}"\n'
            'routing_key_env = "BENCH_ROUTING_KEY"\n'
            '[owners."@backend-team"]\n'
            'receivers = ["oncall"]\n',
            encoding="utf-8",
        )
        # A socket's path must be short, so its folder is one of the system's temporary ones.
        with TemporaryDirectory(prefix="kokino-") as runtime:
            environment = {
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(home),
                "XDG_RUNTIME_DIR": runtime,
                "BENCH_ROUTING_KEY": ROUTING_KEY,
            }
            async with await Broker.start(load(home), environment=environment, port=0) as broker:
                while not broker.is_idle:
                    await asyncio.sleep(0.005)
                yield broker, pager


async def _page(broker: Broker, pager: Pager) -> None:
    """Two executions end badly, as the runner writes it; return when the page has been handed over."""
    services = broker.services
    now = services.clock.now()
    await services.storage.write(lambda conn: [telemetry.append(conn, _bad(now)) for _ in range(2)])
    services.engine.wake()
    async with asyncio.timeout(PATIENCE):
        await pager.rang.wait()


def _bad(at: datetime) -> Event:
    return Event(
        type=END_TYPES["failed"], at=at, agent_id="a", cli_type="claude-code", kind="auth", duration_ms=1000
    )


async def _timed(way: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await way()
    return time.perf_counter() - began


def _figures(rounds: Sequence[Round]) -> list[Figure]:
    def of(estimate: Callable[[Sequence[float]], float], drawn: Sequence[Round], what: str) -> float:
        return estimate([getattr(one, what) for one in drawn])

    ratio = Figure(
        name="page, Kokino / Prometheus with Alertmanager, median",
        unit=Unit.RATIO,
        interval=bootstrap(rounds, lambda drawn: of(median, drawn, "kokino") / of(median, drawn, "pair")),
        is_headline=True,
    )
    lengths = [
        Figure(
            name=f"page, {name}, {estimate.__name__}",
            unit=Unit.MILLISECONDS,
            interval=bootstrap(
                rounds,
                lambda drawn, what=what, estimate=estimate: of(estimate, drawn, what) * 1000,  # type: ignore[misc]
            ),
        )
        for what, name in (("kokino", "Kokino"), ("pair", "Prometheus with Alertmanager"))
        for estimate in (median, p95)
    ]
    return [ratio, *lengths]


BENCHMARK = Benchmark(
    name="page-latency",
    question="How long from a bad execution to the page, over Prometheus with Alertmanager at 1 s?",
    run=run,
)
