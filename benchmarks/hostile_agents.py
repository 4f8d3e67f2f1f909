"""How long others wait for a broker while one of its agents does its worst, and how long a cancel takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.result import Benchmark, Figure, Unit
from benchmarks.served import NO_REPOSITORY, served
from benchmarks.statistics import bootstrap, median, p95

TOML = f"""
[[agents]]
id = "hostile"
cli_type = "scripted"
cwd = "{NO_REPOSITORY}"
limits = {{ grace = "300ms", memory_mb = 200, processes = 60, output_mb = 64 }}
[[agents]]
id = "good"
cli_type = "scripted"
cwd = "{NO_REPOSITORY}"
"""
#: What it does; nothing at first, to compare with.
QUIET = "quiet"
SCRIPTS = {
    QUIET: "hang",
    "floods its output": "flood 10s",
    "writes a line of 50 MB": "long-line 50MB; hang",
    "forks without end": "fork-bomb 2000",
    "fills its memory": "eat 300MB; hang",
}
ROUNDS, QUICK_ROUNDS = 4, 1
#: Questions to /health in one round, and the pause between two, in seconds: together about a second.
QUESTIONS, QUICK_QUESTIONS = 100, 5
PAUSE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round: milliseconds that answers took, by what the agent did meanwhile, and of a cancel."""

    health: Mapping[str, Sequence[float]]
    cancel: float


async def run(folder: Path, is_quick: bool) -> list[Figure]:
    """Each script in turn, with somebody who asks for /health meanwhile; then a cancel."""
    rounds, questions = (QUICK_ROUNDS, QUICK_QUESTIONS) if is_quick else (ROUNDS, QUESTIONS)
    async with served(folder / "home", TOML) as http:
        found = [
            Round(
                health={what: await _asked(http, script, questions) for what, script in SCRIPTS.items()},
                cancel=await _cancel(http),
            )
            for _ in range(rounds + (not is_quick))
        ]
    return _figures(found if is_quick else found[1:])


async def _asked(http: httpx.AsyncClient, script: str, questions: int) -> list[float]:
    """Milliseconds of each answer while the script runs."""
    # Five failures in a row would open its circuit breaker.
    (await http.post("/agents/hostile/circuit/reset")).raise_for_status()
    execution = await _begin(http, "hostile", script)
    took = []
    for _ in range(questions):
        began = time.perf_counter()
        (await http.get("/health")).raise_for_status()
        took.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(PAUSE)
    (await http.post(f"/executions/{execution}/cancel")).raise_for_status()
    return took


async def _cancel(http: httpx.AsyncClient) -> float:
    """Milliseconds until a cancel says that the tree of a child is gone that obeys at once."""
    execution = await _begin(http, "good", "emit up; hang")
    while "assistant" not in (await http.get("/agents/good/logs?lines=1")).text:
        await asyncio.sleep(PAUSE)
    began = time.perf_counter()
    (await http.post(f"/executions/{execution}/cancel")).raise_for_status()
    return (time.perf_counter() - began) * 1000


async def _begin(http: httpx.AsyncClient, agent: str, script: str) -> str:
    answer = await http.post(
        f"/agents/{agent}/execute", json={"prompt": f"script: {script}"}, headers={"Prefer": "respond-async"}
    )
    answer.raise_for_status()
    return str(answer.json()["executionId"])


def _figures(rounds: Sequence[Round]) -> list[Figure]:
    def of(drawn: Sequence[Round], what: str) -> float:
        return p95([value for each in drawn for value in each.health[what]])

    worst = [what for what in SCRIPTS if what != QUIET]
    ratios = [
        Figure(
            name=f"/health while it {what}, p95 / {QUIET}",
            unit=Unit.RATIO,
            interval=bootstrap(rounds, lambda drawn, what=what: of(drawn, what) / of(drawn, QUIET)),  # type: ignore[misc]
            is_headline=True,
        )
        for what in worst
    ]
    lengths = [
        Figure(
            name=f"/health, {what}, p95",
            unit=Unit.MILLISECONDS,
            interval=bootstrap(rounds, lambda drawn, what=what: of(drawn, what)),  # type: ignore[misc]
        )
        for what in SCRIPTS
    ]
    cancel = Figure(
        name="cancel of a child that obeys, median",
        unit=Unit.MILLISECONDS,
        interval=bootstrap(rounds, lambda drawn: median([each.cancel for each in drawn])),
    )
    return [*ratios, *lengths, cancel]


BENCHMARK = Benchmark(
    name="hostile-agents",
    question="How long do others wait for /health while an agent does its worst, over a quiet one?",
    run=run,
)
