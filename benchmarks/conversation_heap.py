"""A database with a million turns, written in a minute: one conversation, then repeated by SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, text

from kokino.clock import to_ms
from kokino.storage import open_storage
from kokino.storage.schema import conversations, executions, metadata, records, turns

#: Executions of one conversation; each says two turns and writes two records.
EXECUTIONS = 5
TURNS = 2 * EXECUTIONS
ROLES = ("user", "assistant")
BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
#: What a turn says, and half of what a record holds: a short answer.
WORDS = "The tests pass now; the parser kept the last line of a file that ended without a newline. " * 4
#: So that a gibibyte is written in one go.
FAST = ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA cache_size=-400000")
#: Behind each id of a copy: spread over the index as random ids are, and never twice below 2^32 copies.
SPREAD = "'-' || printf('%08x', copy * 2654435761 % 4294967296)"
#: What differs between two copies.
CHANGED = {
    "conversation_id": f"conversation_id || {SPREAD}",
    "execution_id": f"execution_id || {SPREAD}",
    "turn_id": f"turn_id || {SPREAD}",
    "agent_id": "'agent-' || (copy % 8)",
}


async def fill(path: Path, count: int) -> None:
    """Make a database with about `count` turns, without a fault."""
    await (await open_storage(f"sqlite:///{path}")).close()
    engine = create_engine(f"sqlite:///{path}")
    try:
        _fill(engine, count // TURNS)
    finally:
        engine.dispose()


def _fill(engine: Engine, copies: int) -> None:
    with engine.connect() as conn:
        for pragma in FAST:
            conn.exec_driver_sql(pragma)
        conn.commit()
        _write_one(conn)
        for table in ("conversations", "executions", "turns", "records"):
            _copy(conn, table, copies)
        conn.commit()
        conn.exec_driver_sql("PRAGMA journal_mode=WAL")


def _write_one(conn: Connection) -> None:
    conn.execute(
        conversations.insert(), {"conversation_id": "conv", "agent_id": "agent-0", "started_at": BEGINS}
    )
    numbers = range(1, EXECUTIONS + 1)
    conn.execute(executions.insert(), [_execution(number) for number in numbers])
    conn.execute(
        turns.insert(), [_turn(number, role) for number in numbers for role in ("user", "assistant")]
    )
    conn.execute(records.insert(), [_record(number, place) for number in numbers for place in (1, 2)])


def _execution(number: int) -> dict[str, object]:
    return {
        "number": number,
        "execution_id": f"exec-{number}",
        "agent_id": "agent-0",
        "cli_type": "claude-code",
        "account": "claude-code",
        "mode": "headless",
        "pool": "default",
        "state": "completed",
        "prompt": WORDS,
        "metadata": {},
        "conversation_id": "conv",
        "timeout_ms": 300_000,
        "queue_timeout_ms": 300_000,
        "queued_at": BEGINS,
        "queue_ends_at": BEGINS,
        "started_at": BEGINS,
        "ended_at": BEGINS,
        "content": WORDS,
    }


def _turn(number: int, role: str) -> dict[str, object]:
    return {
        "turn_id": f"turn-{role}-{number}",
        "conversation_id": "conv",
        "number": 2 * number - (role == "user"),
        "execution_id": f"exec-{number}",
        "role": role,
        "content": WORDS,
        "said_at": BEGINS,
    }


def _record(number: int, place: int) -> dict[str, object]:
    return {
        "execution_id": f"exec-{number}",
        "number": place,
        "stream": "stdout",
        "body": WORDS * 2,
        "size": len(WORDS) * 2,
        "written_at": BEGINS,
        "attempt": 1,
    }


def _copy(conn: Connection, table: str, copies: int) -> None:
    """All copies but the first, which is there."""
    names = [column.name for column in metadata.tables[table].columns]
    changed = CHANGED | ({"number": f"number + copy * {EXECUTIONS}"} if table == "executions" else {})
    chosen = ", ".join(changed.get(name, name) for name in names)
    counted = "copies(copy) AS (VALUES(1) UNION ALL SELECT copy + 1 FROM copies WHERE copy < :last)"
    copied = f"SELECT {chosen} FROM copies CROSS JOIN {table}"  # noqa: S608 - our names
    insert = f"WITH RECURSIVE {counted} INSERT INTO {table} ({', '.join(names)}) {copied}"
    conn.execute(text(insert), {"last": max(1, copies - 1)})


def plant_orphans(path: Path, count: int) -> None:
    """Add `count` turns of conversations that are not there, and of which nothing tells."""
    engine = create_engine(f"sqlite:///{path}")
    numbered = "orphans(number) AS (VALUES(1) UNION ALL SELECT number + 1 FROM orphans WHERE number < :most)"
    insert = "INSERT INTO turns (turn_id, conversation_id, number, role, content, said_at)"
    chosen = "'lost-' || number, 'gone-' || (number / 10), number, 'user', :words, :at"
    with engine.begin() as conn:
        conn.execute(
            text(f"WITH RECURSIVE {numbered} {insert} SELECT {chosen} FROM orphans"),  # noqa: S608 - ours
            {"most": count, "words": WORDS, "at": to_ms(BEGINS)},
        )
    engine.dispose()
