"""A month of events in a database, written in a minute: one hour by the product, then repeated by SQL."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, create_engine, select, text

from kokino.clock import MILLISECOND
from kokino.storage import open_storage
from kokino.storage.schema import events, metadata, rollups
from kokino.telemetry import store
from kokino.telemetry.model import END_TYPES, Event, EventType
from kokino.telemetry.windows import Grain

#: Whole days of UTC.
DAYS = 30
HOURS = 24 * DAYS
BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
ENDS = BEGINS + timedelta(days=DAYS)
HOUR = timedelta(hours=1)
HOUR_MS = HOUR // MILLISECOND
#: One of so many executions of an hour fails: less than the SLO lets fail, so that no alert fires.
ONE_FAILS = 250
#: The same hour for every database.
SEED = 20260105
#: So that a gibibyte is written in one go.
FAST = ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA cache_size=-200000")


async def fill(path: Path, count: int) -> None:
    """Make a database with `count` events, spread evenly over the month that ends at `ENDS`."""
    await (await open_storage(f"sqlite:///{path}")).close()
    engine = create_engine(f"sqlite:///{path}")
    try:
        _fill(engine, count)
    finally:
        engine.dispose()


def _fill(engine: Engine, count: int) -> None:
    with engine.connect() as conn:
        for pragma in FAST:
            conn.exec_driver_sql(pragma)
        conn.commit()
        for index in events.indexes:
            index.drop(conn)
        for event in _hour(max(1, count // HOURS)):
            store.append(conn, event)
        _repeat(conn)
        for index in events.indexes:
            index.create(conn)
        conn.commit()
        conn.exec_driver_sql("PRAGMA journal_mode=WAL")


def _hour(count: int) -> Iterator[Event]:
    """Executions of eight agents with two CLI types: a start and an end each, in order."""
    dice = random.Random(SEED)  # noqa: S311 - draws durations, guards nothing
    for number in range(count // 2):
        start = Event(
            type=EventType.EXECUTION_STARTED,
            at=BEGINS + number * 2 * HOUR / count,
            agent_id=f"agent-{number % 8}",
            cli_type=("claude-code", "codex")[number % 2],
            execution_id=f"exec-{number}",
        )
        yield start
        yield replace(
            start,
            type=END_TYPES["failed" if number % ONE_FAILS == ONE_FAILS - 1 else "completed"],
            duration_ms=dice.randrange(1_000, 20_000),
            memory_mb=dice.randrange(200, 700),
            memory_slo_mb=500,
        )


def _repeat(conn: Connection) -> None:
    """The other hours as this one, and the days that they make."""
    _copy(conn, "events", "at", omit="event_id")
    _copy(conn, "rollups", "bucket_at", where="grain IN ('minute', 'hour')")
    sums = [column for column in rollups.columns if column is not rollups.c.bucket_at]
    days = conn.execute(select(*sums).where(rollups.c.grain == Grain.DAY)).mappings().all()
    conn.execute(rollups.delete().where(rollups.c.grain == Grain.DAY))
    conn.execute(rollups.insert(), [_day(row, number) for row in days for number in range(DAYS)])
    conn.execute(
        text("UPDATE latest_events SET at = at + :ms, event_id = (SELECT max(event_id) FROM events)"),
        {"ms": (HOURS - 1) * HOUR_MS},
    )


def _copy(conn: Connection, table: str, instant: str, *, omit: str = "", where: str = "true") -> None:
    names = [column.name for column in metadata.tables[table].columns if column.name != omit]
    shifted = [f"{name} + hour * {HOUR_MS}" if name == instant else name for name in names]
    hours = "hours(hour) AS (VALUES(1) UNION ALL SELECT hour + 1 FROM hours WHERE hour < :last)"
    copied = f"SELECT {', '.join(shifted)} FROM hours CROSS JOIN {table} WHERE {where}"  # noqa: S608 - our names
    insert = f"WITH RECURSIVE {hours} INSERT INTO {table} ({', '.join(names)}) {copied}"
    conn.execute(text(insert), {"last": HOURS - 1})


def _day(row: RowMapping, number: int) -> dict[str, Any]:
    """24 hours that are alike: every sum 24 times, the largest duration once."""
    kept = {"scope", "scope_id", "grain", "duration_max_ms"}
    day = {name: value if name in kept else _times_24(value) for name, value in row.items()}
    return {**day, "bucket_at": BEGINS + timedelta(days=number)}


def _times_24(value: Any) -> Any:
    return {key: 24 * count for key, count in value.items()} if isinstance(value, dict) else 24 * value
