"""How much longer an execution takes than its child alone."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil

from benchmarks.result import Benchmark, Figure, Unit
from benchmarks.served import NO_REPOSITORY
from benchmarks.statistics import bootstrap, median, p95
from kokino.app import Broker
from kokino.config import FILE_NAME, load
from kokino.executions.model import State

AGENT = "bench"
CONFIG = f"""
[cli_types.scripted]
driver = "scripted"
[[agents]]
id = "{AGENT}"
cli_type = "scripted"
cwd = "{NO_REPOSITORY}"
"""
#: The child answers it at once.
PROMPT = "Say hello."
#: Lets a child live long enough to be looked at.
SLOW_PROMPT = "script: think 1s"
#: Measured rounds; a p95 of fewer says little. Quick: enough to see that it works.
ROUNDS, QUICK_ROUNDS = 200, 3
#: Rounds that are thrown away: caches fill, the session is begun.
WARM_UP = 5
#: Seconds between two looks at a broker that still tidies up.
STEP = 0.002

#: The child alone, through `Executions.submit` and `ended`, and through POST /agents/{id}/execute.
RAW, SERVICE, HTTP = "raw spawn", "service", "HTTP"

#: Milliseconds of each way.
Round = Mapping[str, float]
Estimate = Callable[[Sequence[float]], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """The process that the broker starts for `PROMPT`, as the kernel saw it."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    #: Holds `PROMPT`; the child's standard input.
    prompt: Path


async def run(folder: Path, is_quick: bool) -> list[Figure]:
    """Time the child alone, through the service and over HTTP, in turn."""
    async with _broker(folder) as broker, httpx.AsyncClient(base_url=broker.url, timeout=60) as http:
        child = await _child(broker, folder)
        ways = {
            RAW: lambda: _spawn(child),
            SERVICE: lambda: _through_service(broker, PROMPT),
            HTTP: lambda: _through_http(http),
        }
        count = WARM_UP + (QUICK_ROUNDS if is_quick else ROUNDS)
        rounds = [await _round(broker, ways, turn) for turn in range(count)]
    return _figures(rounds[WARM_UP:])


@asynccontextmanager
async def _broker(home: Path) -> AsyncIterator[Broker]:
    (home / FILE_NAME).write_text(CONFIG, encoding="utf-8")
    # A socket's path must be short, so its folder is one of the system's temporary ones.
    with TemporaryDirectory(prefix="kokino-") as runtime:
        path = os.environ.get("PATH", os.defpath)
        environment = {"PATH": path, "HOME": str(home), "XDG_RUNTIME_DIR": runtime}
        async with await Broker.start(load(home), environment=environment, port=0) as broker:
            yield broker


async def _round(broker: Broker, ways: Mapping[str, Callable[[], Awaitable[None]]], turn: int) -> Round:
    """Every way once, in an order that rotates from round to round."""
    names = list(ways)
    first = turn % len(names)
    return {name: await _timed(broker, ways[name]) for name in names[first:] + names[:first]}


async def _timed(broker: Broker, way: Callable[[], Awaitable[None]]) -> float:
    """Milliseconds; what the broker still does for the execution before must not count for this one."""
    while not broker.is_idle:
        await asyncio.sleep(STEP)
    began = time.perf_counter()
    await way()
    return (time.perf_counter() - began) * 1000


async def _spawn(child: Child) -> None:
    with child.prompt.open("rb") as prompt:
        process = await asyncio.create_subprocess_exec(
            *child.argv,
            stdin=prompt,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=child.env,
            cwd=child.cwd,
        )
    said, complaint = await process.communicate()
    if process.returncode != 0 or b'"type": "result"' not in said:
        raise RuntimeError(f"the child alone did not answer: {complaint.decode(errors='replace')}")


async def _through_service(broker: Broker, prompt: str) -> None:
    executions = broker.services.executions
    accepted = await executions.submit(AGENT, prompt)
    ended = await executions.ended(accepted.execution_id)
    if ended.state is not State.COMPLETED:
        raise RuntimeError(f"the execution ended as {ended.state}: {ended.error}")


async def _through_http(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"/agents/{AGENT}/execute", json={"prompt": PROMPT})
    answer.raise_for_status()


async def _child(broker: Broker, folder: Path) -> Child:
    """What the broker starts is read from the kernel, so the raw spawn repeats exactly that.

    The second execution is the one to look at: it resumes the session, as all later ones do.
    """
    await _through_service(broker, PROMPT)
    executions = broker.services.executions
    accepted = await executions.submit(AGENT, SLOW_PROMPT)
    while (pid := (await executions.get(accepted.execution_id)).pid) is None:
        await asyncio.sleep(STEP)
    process = psutil.Process(pid)
    prompt = folder / "prompt"
    prompt.write_text(PROMPT, encoding="utf-8")
    child = Child(argv=process.cmdline(), env=process.environ(), cwd=process.cwd(), prompt=prompt)
    await executions.ended(accepted.execution_id)
    return child


def _figures(rounds: Sequence[Round]) -> list[Figure]:
    words: dict[str, Estimate] = {"median": median, "p95": p95}
    figures = []
    for way in (SERVICE, HTTP):
        figures += [_ratio(rounds, way, word, estimate) for word, estimate in words.items()]
        figures += [_added(rounds, way, word, estimate) for word, estimate in words.items()]
    for way in (RAW, SERVICE, HTTP):
        figures += [_length(rounds, way, word, estimate) for word, estimate in words.items()]
    return figures


def _ratio(rounds: Sequence[Round], way: str, word: str, estimate: Estimate) -> Figure:
    interval = bootstrap(rounds, lambda drawn: estimate(_of(drawn, way)) / estimate(_of(drawn, RAW)))
    name = f"{way} / {RAW}, {word}"
    return Figure(name=name, unit=Unit.RATIO, interval=interval, is_headline=estimate is median)


def _added(rounds: Sequence[Round], way: str, word: str, estimate: Estimate) -> Figure:
    interval = bootstrap(rounds, lambda drawn: estimate(_of(drawn, way)) - estimate(_of(drawn, RAW)))
    name = f"{way} - {RAW}, {word}"
    return Figure(name=name, unit=Unit.MILLISECONDS, interval=interval, is_headline=estimate is median)


def _length(rounds: Sequence[Round], way: str, word: str, estimate: Estimate) -> Figure:
    interval = bootstrap(rounds, lambda drawn: estimate(_of(drawn, way)))
    return Figure(name=f"{way}, {word}", unit=Unit.MILLISECONDS, interval=interval)


def _of(rounds: Sequence[Round], way: str) -> list[float]:
    return [each[way] for each in rounds]


BENCHMARK = Benchmark(
    name="execution-overhead",
    question="How long does an execution take, over the same child spawned without a broker?",
    run=run,
)
