"""How many executions a broker gets through, and what it adds when many run at the same time."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.result import Benchmark, Figure, Unit
from benchmarks.served import NO_REPOSITORY, served
from benchmarks.statistics import bootstrap, median, p95
from kokino.agents.drivers.scripted import PROGRAM

#: Agents that have something to do at the same time.
AGENTS, QUICK_AGENTS = 40, 4
#: Instant executions of one round, and rounds.
INSTANT, QUICK_INSTANT = 200, 8
ROUNDS, QUICK_ROUNDS = 5, 1
#: What the long ones take by themselves, in seconds.
LONG, QUICK_LONG = 3.0, 0.3
PROMPT = "Say hello."

Run = Callable[[int, str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round, both ways."""

    #: Instant executions a second.
    broker_per_second: float
    raw_per_second: float
    #: Milliseconds that each of the long ones took beyond its own length.
    broker_added: Sequence[float]
    raw_added: Sequence[float]


async def run(folder: Path, is_quick: bool) -> list[Figure]:
    """In turn: instant ones and long ones, through the broker over HTTP and as raw spawns."""
    agents, instant, rounds, length = (
        (QUICK_AGENTS, QUICK_INSTANT, QUICK_ROUNDS, QUICK_LONG)
        if is_quick
        else (AGENTS, INSTANT, ROUNDS, LONG)
    )
    async with served(folder / "home", _toml(agents)) as http:
        ways: tuple[Run, Run] = (_through(http), _raw)
        found = []
        for turn in range(rounds + 1):  # the first warms up: sessions are begun, caches fill
            order = ways if turn % 2 else ways[::-1]
            rates = {way: await _rate(way, agents, instant) for way in order}
            added = {way: await _added(way, agents, length) for way in order}
            found.append(
                Round(
                    broker_per_second=rates[ways[0]],
                    raw_per_second=rates[ways[1]],
                    broker_added=added[ways[0]],
                    raw_added=added[ways[1]],
                )
            )
    return _figures(found[1:])


def _toml(agents: int) -> str:
    return f"[process]\nexecutions = {agents}\n" + "".join(
        f'[[agents]]\nid = "agent-{number}"\ncli_type = "scripted"\ncwd = "{NO_REPOSITORY}"\n'
        for number in range(agents)
    )


def _through(http: httpx.AsyncClient) -> Run:
    async def way(agent: int, prompt: str) -> None:
        answer = await http.post(f"/agents/agent-{agent}/execute", json={"prompt": prompt})
        answer.raise_for_status()

    return way


async def _raw(_agent: int, prompt: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", str(PROGRAM), "-p",
        stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={"PATH": os.defpath},
    )  # fmt: skip
    said, _ = await process.communicate(prompt.encode())
    if b'"type": "result"' not in said:
        raise RuntimeError("the child alone did not answer")


async def _rate(way: Run, agents: int, count: int) -> float:
    """Executions a second, while every agent has the next one ready."""
    left = iter(range(count))

    async def work(agent: int) -> None:
        for _ in left:
            await way(agent, PROMPT)

    began = time.perf_counter()
    await asyncio.gather(*(work(agent) for agent in range(agents)))
    return count / (time.perf_counter() - began)


async def _added(way: Run, agents: int, length: float) -> list[float]:
    """Milliseconds beyond its own length that each of them took, all begun together."""

    async def one(agent: int) -> float:
        began = time.perf_counter()
        await way(agent, f"script: think {round(length * 1000)}ms")
        return (time.perf_counter() - began - length) * 1000

    return list(await asyncio.gather(*(one(agent) for agent in range(agents))))


def _figures(rounds: Sequence[Round]) -> list[Figure]:
    def figure(name: str, unit: Unit, estimate: Callable[[Sequence[Round]], float], **more: bool) -> Figure:
        return Figure(name=name, unit=unit, interval=bootstrap(rounds, estimate), **more)

    def broker(drawn: Sequence[Round]) -> float:
        return median([each.broker_per_second for each in drawn])

    def raw(drawn: Sequence[Round]) -> float:
        return median([each.raw_per_second for each in drawn])

    def added(drawn: Sequence[Round]) -> list[float]:
        return [value for each in drawn for value in each.broker_added]

    def added_raw(drawn: Sequence[Round]) -> list[float]:
        return [value for each in drawn for value in each.raw_added]

    return [
        figure(
            "instant, broker / raw", Unit.RATIO, lambda drawn: broker(drawn) / raw(drawn), is_headline=True
        ),
        figure("instant, broker", Unit.PER_SECOND, broker),
        figure("instant, raw spawns", Unit.PER_SECOND, raw),
        figure(
            "many at once, p95 of broker / p95 of raw",
            Unit.RATIO,
            lambda drawn: p95(added(drawn)) / p95(added_raw(drawn)),
            is_headline=True,
        ),
        figure("many at once, broker adds, median", Unit.MILLISECONDS, lambda drawn: median(added(drawn))),
        figure("many at once, broker adds, p95", Unit.MILLISECONDS, lambda drawn: p95(added(drawn))),
        figure("many at once, raw adds, median", Unit.MILLISECONDS, lambda drawn: median(added_raw(drawn))),
        figure("many at once, raw adds, p95", Unit.MILLISECONDS, lambda drawn: p95(added_raw(drawn))),
    ]


BENCHMARK = Benchmark(
    name="many-executions",
    question="How many executions does a broker get through, and what does it add to many, over raw spawns?",
    run=run,
)
