"""Damage as it comes about: by a program that writes past what the schema declares, or by a failing disk."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
from sqlalchemy import make_url

PAGE = 4096
_SWAP = (
    "UPDATE turns SET number = number"
    " - (SELECT sum(number) FROM turns WHERE turn_id IN ('{0}', '{1}')) WHERE turn_id IN ('{0}', '{1}')"
)
_TURN_ROUND = "UPDATE turns SET number = -number WHERE turn_id IN ('{0}', '{1}')"

_AFTER = (
    "INSERT INTO turns (turn_id, conversation_id, number, execution_id, role, content, said_at)"
    " SELECT 'foreign-{0}', 'c1', {0}, '{1}', role, content, said_at FROM turns WHERE turn_id = '{2}'"
)
#: Two more turns of c1, the last by their times: one of another agent's earlier execution, one of none.
FOREIGN = (
    "UPDATE conversations SET agent_id = 'editor' WHERE conversation_id = 'c2'",
    "UPDATE executions SET agent_id = 'editor', number = -1 WHERE execution_id = 'exec-3'",
    _AFTER.format(5, "exec-3", "user-3"),
    _AFTER.format(6, "gone", "assistant-3"),
)


def write_past(url: str, *statements: str) -> None:
    """Run statements with foreign keys off, as no part of Kokino does."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(parsed.database), timeout=30)) as conn, conn:
            for statement in statements:
                conn.execute(statement)
        return
    dsn = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(dsn, autocommit=True) as server:
        server.execute("SET session_replication_role = replica")
        for statement in statements:
            server.execute(statement.encode())


def swap(first: str, second: str) -> list[str]:
    """Statements that give two turns each other's number; no two may have one in between."""
    return [statement.format(first, second) for statement in (_SWAP, _TURN_ROUND)]


def tear_page(path: Path, table: str) -> None:
    """Overwrite the middle of a table's first page, as a write that was cut short does."""
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = conn.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xde\xad" * (PAGE // 4))


#: A page of PostgreSQL begins with this header; pointers to its items follow, four bytes each.
HEADER, POINTER = 24, 4


def smash_header(path: Path) -> None:
    """Overwrite the beginning of a server's table, as a write that went astray does."""
    _write(path, 0, b"\xde\xad" * (HEADER // 2))


def swap_items(path: Path, page: int) -> None:
    """Let the first two entries of a server's index change places, as an outdated page may have it."""
    start = page * 2 * PAGE + HEADER
    with path.open("rb") as file:
        file.seek(start)
        first, second = file.read(POINTER), file.read(POINTER)
    _write(path, start, second + first)


def misdirect(path: Path) -> None:
    """Let the first row of a server's table be looked for where none can begin."""
    _write(path, HEADER, (9 | 1 << 15 | 60 << 17).to_bytes(POINTER, "little"))


def _write(path: Path, start: int, what: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(what)
