"""How many events become durable in a second, over what one commit for each of them allows."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from benchmarks.result import Benchmark, Figure, Unit
from benchmarks.statistics import bootstrap, median
from kokino.clock import SystemClock
from kokino.storage import Storage, open_storage
from kokino.telemetry import store
from kokino.telemetry.model import Event, EventType

#: Callers that each wait for their own event before they write the next one.
WRITERS = 64
#: Events of one measurement.
EVENTS, QUICK_EVENTS = 400, 20
#: Measured rounds.
ROUNDS, QUICK_ROUNDS = 8, 2
#: Milliseconds that are added to every commit, on both sides. Many virtual disks answer a flush from memory;
#: 2 is what a drive without a protected cache may take, 8 about one turn of a hard disk.
ADDED_MS = (0, 2, 8)
#: One page of a database.
PAGE = b"\0" * 4096

#: What the disk gives at best, the limit without group commit, the product with one caller and with many.
FLUSHES, LIMIT, ALONE, TOGETHER = "fdatasync", "one commit each", "1 writer", f"{WRITERS} writers"

#: Events per second by what was measured and the milliseconds that were added to a commit.
Round = Mapping[tuple[str, int], float]
#: SQL, its parameters, and whether these are many rows.
Statement = tuple[str, Any, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The same for every measurement."""

    events: Sequence[Event]
    #: What is written for each event: the very rows of the product, with nothing left to compute.
    statements: Sequence[Sequence[Statement]]
    #: A database with the schema and no rows.
    empty: Path


async def run(folder: Path, is_quick: bool) -> list[Figure]:
    """Write the same rows in every way, in turn."""
    workload = await _workload(folder, QUICK_EVENTS if is_quick else EVENTS)
    rounds = [await _round(workload, folder) for _ in range(QUICK_ROUNDS if is_quick else ROUNDS)]
    return _figures(rounds)


async def _round(workload: Workload, folder: Path) -> Round:
    found = {(FLUSHES, 0): _flushes(folder / "page", len(workload.events))}
    for added in ADDED_MS:
        with _slower_commits(added):
            found[LIMIT, added] = _one_by_one(workload, folder / "limit.db", added)
            found[ALONE, added] = await _through_storage(workload, folder / "alone.db", 1)
            found[TOGETHER, added] = await _through_storage(workload, folder / "together.db", WRITERS)
    return found


# --- the workload -----------------------------------------------------------------------------------------


async def _workload(folder: Path, count: int) -> Workload:
    empty = folder / "empty.db"
    await (await open_storage(f"sqlite:///{empty}")).close()
    events = [_event(number) for number in range(count)]
    storage = await _open(empty, folder / "recorded.db")
    statements = [await _recorded(storage, each) for each in events]
    await storage.close()
    return Workload(events=events, statements=statements, empty=empty)


def _event(number: int) -> Event:
    """The start or the end of one of eight agents' executions: half of the events change sums, as in life."""
    is_end = number % 2 == 1
    return Event(
        type=EventType.EXECUTION_COMPLETED if is_end else EventType.EXECUTION_STARTED,
        at=SystemClock().now(),
        agent_id=f"agent-{number // 2 % 8}",
        cli_type=("claude-code", "codex")[number // 2 % 2],
        account="benchmark",
        execution_id=f"exec-{number // 2}",
        duration_ms=1_000 + 37 * number % 29_000 if is_end else None,
    )


async def _recorded(storage: Storage, wanted: Event) -> list[Statement]:
    """What appending the event writes."""
    found: list[Statement] = []

    def note(_conn: object, _cursor: object, sql: str, values: Any, _context: object, is_many: bool) -> None:
        if sql.startswith("INSERT"):
            found.append((sql, values, is_many))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        await _append(storage, wanted)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return found


# --- what is measured -------------------------------------------------------------------------------------


def _flushes(file: Path, count: int) -> float:
    """How often a second the file system can be made to keep one page."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    began = time.perf_counter()
    for _ in range(count):
        os.pwrite(descriptor, PAGE, 0)
        os.fdatasync(descriptor)
    elapsed = time.perf_counter() - began
    os.close(descriptor)
    return count / elapsed


def _one_by_one(workload: Workload, path: Path, added_ms: int) -> float:
    """SQLite alone, as durable as ours: the rows of each event in a commit of their own."""
    _copy(workload.empty, path)
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("PRAGMA synchronous=FULL")
        began = time.perf_counter()
        for statements in workload.statements:
            conn.execute("BEGIN IMMEDIATE")
            for sql, values, is_many in statements:
                (conn.executemany if is_many else conn.execute)(sql, values)
            time.sleep(added_ms / 1000)
            conn.execute("COMMIT")
        return len(workload.events) / (time.perf_counter() - began)


async def _through_storage(workload: Workload, path: Path, writers: int) -> float:
    """The product: every writer takes the next event and waits until that is durable."""
    storage = await _open(workload.empty, path)
    waiting = iter(workload.events)

    async def write() -> None:
        for each in waiting:
            await _append(storage, each)

    began = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(writers)))
    elapsed = time.perf_counter() - began
    await storage.close()
    return len(workload.events) / elapsed


async def _append(storage: Storage, wanted: Event) -> None:
    def append(conn: Connection) -> int:
        return store.append(conn, wanted)

    await storage.write(append)


@contextmanager
def _slower_commits(added_ms: int) -> Iterator[None]:
    """Hold up the thread that commits, as a slower disk would."""

    def wait(_conn: Connection) -> None:
        time.sleep(added_ms / 1000)

    event.listen(Engine, "commit", wait)
    try:
        yield
    finally:
        event.remove(Engine, "commit", wait)


async def _open(empty: Path, path: Path) -> Storage:
    _copy(empty, path)
    return await open_storage(f"sqlite:///{path}")


def _copy(empty: Path, path: Path) -> None:
    """A fresh database, without the log of the one that was there."""
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    shutil.copyfile(empty, path)


# --- what was found ---------------------------------------------------------------------------------------


def _figures(rounds: Sequence[Round]) -> list[Figure]:
    ratios = [_ratio(rounds, TOGETHER, under, added) for under in (LIMIT, ALONE) for added in ADDED_MS]
    return [*ratios, *(_rate(rounds, what, added) for what, added in rounds[0])]


def _ratio(rounds: Sequence[Round], over: str, under: str, added: int) -> Figure:
    """Of neighbours in a round, so that a slow moment of the disk hits both."""
    interval = bootstrap([each[over, added] / each[under, added] for each in rounds], median)
    name = f"{over} / {under}{_on(added)}"
    return Figure(name=name, unit=Unit.RATIO, interval=interval, is_headline=under == LIMIT)


def _rate(rounds: Sequence[Round], what: str, added: int) -> Figure:
    interval = bootstrap([each[what, added] for each in rounds], median)
    return Figure(name=f"{what}{_on(added)}", unit=Unit.PER_SECOND, interval=interval)


def _on(added: int) -> str:
    return f", +{added} ms" if added else ""


BENCHMARK = Benchmark(
    name="durable-events",
    question="How many events become durable in a second, over one commit for each of them on the same disk?",
    run=run,
)
