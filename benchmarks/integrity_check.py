"""What a check of a large database costs, and whom it keeps waiting."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.conversation_heap import fill, plant_orphans
from benchmarks.result import Benchmark, Figure, Unit
from benchmarks.statistics import Interval, bootstrap, median, p95
from kokino.clock import SystemClock
from kokino.integrity.checks import look
from kokino.integrity.repair import repair
from kokino.storage import Storage, look_into, open_storage
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event, EventType

#: Turns of the two databases, and orphans that a cleanup deletes from the large one.
FEW, MANY, ORPHANS = 100_000, 1_000_000, 50_000
QUICK_FEW, QUICK_MANY, QUICK_ORPHANS = 100, 1_000, 100
ROUNDS, QUICK_ROUNDS = 5, 2
#: Seconds between two writes of the one who is kept waiting, and how many there are while all is quiet.
PAUSE, QUIET_WRITES = 0.005, 400
#: Rows that the plain read takes at a time.
ROWS = 1_000
TABLES = ("conversations", "turns", "executions", "records")

#: Seconds, or milliseconds of a write, by what was measured.
Round = Mapping[str, float]


async def run(folder: Path, is_quick: bool) -> list[Figure]:
    """Check the large database beside a plain read and SQLite's own check, in turn; then clean it up."""
    few, many = folder / "few.db", folder / "many.db"
    await fill(few, QUICK_FEW if is_quick else FEW)
    await fill(many, QUICK_MANY if is_quick else MANY)
    memory = {path: _memory(path) for path in (few, many)}
    storage = await open_storage(f"sqlite:///{many}")
    try:
        rounds = [await _round(storage, many) for _ in range(QUICK_ROUNDS if is_quick else ROUNDS)]
        plant_orphans(many, QUICK_ORPHANS if is_quick else ORPHANS)
        cleanup = await _cleanup(storage)
    finally:
        await storage.close()
    return [*_figures(rounds, cleanup), *_of_memory(memory[few], memory[many])]


async def _round(storage: Storage, path: Path) -> Round:
    quiet = await _writes_beside(storage, _some_time)
    busy = await _writes_beside(storage, lambda: look(storage))
    return {
        "read": await _timed(lambda: asyncio.to_thread(_read, path)),
        "own": await _timed(lambda: asyncio.to_thread(_own_check, path)),
        "check": await _timed(lambda: look(storage)),
        "quiet": p95(quiet),
        "busy": p95(busy),
        "longest": max(busy),
    }


async def _cleanup(storage: Storage) -> Round:
    quiet = await _writes_beside(storage, _some_time)
    busy = await _writes_beside(storage, lambda: repair(storage))
    return {"quiet": p95(quiet), "busy": p95(busy), "longest": max(busy)}


def _read(path: Path) -> None:
    """Every row of the tables that a check goes through, one after the other."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as conn:
        for table in TABLES:
            cursor = conn.execute(f"SELECT * FROM {table}")  # noqa: S608 - our names
            while cursor.fetchmany(ROWS):
                pass


def _own_check(path: Path) -> None:
    """What SQLite can tell by itself."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as conn:
        for pragma in ("integrity_check", "foreign_key_check"):
            conn.execute(f"PRAGMA {pragma}").fetchall()


async def _writes_beside(storage: Storage, work: Callable[[], Awaitable[object]]) -> list[float]:
    """How long each write took while `work` was done, in milliseconds."""
    taken: list[float] = []
    async with _writing(storage, taken):
        await work()
    return taken


@contextlib.asynccontextmanager
async def _writing(storage: Storage, taken: list[float]) -> AsyncIterator[None]:
    """One caller writes an event, waits for it and a little, and writes the next."""
    is_over = asyncio.Event()

    async def write() -> None:
        event = Event(type=EventType.EXECUTION_STARTED, at=SystemClock().now(), agent_id="agent-0")
        while not (is_over.is_set() and taken):
            begun = time.perf_counter()
            await storage.write(lambda conn: telemetry.append(conn, event))
            taken.append((time.perf_counter() - begun) * 1000)
            await asyncio.sleep(PAUSE)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        yield
        is_over.set()


async def _some_time() -> None:
    await asyncio.sleep(PAUSE * QUIET_WRITES)


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    await work()
    return time.perf_counter() - begun


def _memory(path: Path) -> float:
    """MiB by which a process grows that makes one check; a fresh one, for freed memory is not given back."""
    program = [sys.executable, "-m", "benchmarks.integrity_check", str(path)]
    return float(subprocess.run(program, check=True, capture_output=True, text=True).stdout)


def _largest() -> float:
    """The most MiB that this process has had; getrusage begins with those of the one that started it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _figures(rounds: Sequence[Round], cleanup: Round) -> list[Figure]:
    def over(what: str, base: str) -> Interval:
        return bootstrap(rounds, lambda some: median([each[what] / each[base] for each in some]))

    def plain(what: str, factor: float = 1) -> Interval:
        return bootstrap(rounds, lambda some: median([each[what] * factor for each in some]))

    def once(value: float) -> Interval:
        return Interval(value=value, low=value, high=value)

    ms = Unit.MILLISECONDS
    return [
        Figure(name="check / plain read", unit=Unit.RATIO, interval=over("check", "read"), is_headline=True),
        Figure(name="check / SQLite's own", unit=Unit.RATIO, interval=over("check", "own"), is_headline=True),
        Figure(
            name="write beside a check, p95 / quiet",
            unit=Unit.RATIO,
            interval=over("busy", "quiet"),
            is_headline=True,
        ),
        Figure(
            name="write beside a cleanup, p95 / quiet",
            unit=Unit.RATIO,
            interval=once(cleanup["busy"] / cleanup["quiet"]),
            is_headline=True,
        ),
        Figure(name="plain read", unit=ms, interval=plain("read", 1000)),
        Figure(name="SQLite's own check", unit=ms, interval=plain("own", 1000)),
        Figure(name="check", unit=ms, interval=plain("check", 1000)),
        Figure(name="write, quiet, p95", unit=ms, interval=plain("quiet")),
        Figure(name="write beside a check, p95", unit=ms, interval=plain("busy")),
        Figure(name="write beside a check, longest", unit=ms, interval=plain("longest")),
        Figure(name="write beside a cleanup, p95", unit=ms, interval=once(cleanup["busy"])),
        Figure(name="write beside a cleanup, longest", unit=ms, interval=once(cleanup["longest"])),
    ]


def _of_memory(few: float, many: float) -> list[Figure]:
    def once(value: float) -> Interval:
        return Interval(value=value, low=value, high=value)

    return [
        Figure(name="memory, many / few", unit=Unit.RATIO, interval=once(many / few), is_headline=True),
        Figure(name="memory, few", unit=Unit.MEBIBYTES, interval=once(few)),
        Figure(name="memory, many", unit=Unit.MEBIBYTES, interval=once(many)),
    ]


BENCHMARK = Benchmark(
    name="integrity-check",
    question=f"how much longer than a plain read of {MANY:,} turns does a check take, and who waits for it?",
    run=run,
)


if __name__ == "__main__":
    before = _largest()
    asyncio.run(look(look_into(f"sqlite:///{sys.argv[1]}")))
    print(_largest() - before)  # noqa: T201 - for the process that started this one
