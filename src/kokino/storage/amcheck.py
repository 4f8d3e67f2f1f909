"""PostgreSQL's own look at its files: the extension amcheck, where a superuser has installed it."""

from __future__ import annotations

from sqlalchemy import Connection, text

from kokino.errors import StorageError

#: What to do where it is not there.
MISSING = (
    "the server's files: the extension amcheck is not installed in this database; a superuser installs it"
    " with CREATE EXTENSION amcheck"
)
#: Start of the SQLSTATEs internal_error, data_corrupted and index_corrupted.
_DAMAGE = "XX"
_INSTALLED = "SELECT 1 FROM pg_extension WHERE extname = 'amcheck'"
_INDEXES = """
    SELECT index.indexrelid::regclass::text FROM pg_index AS index
    JOIN pg_class AS class ON class.oid = index.indexrelid
    JOIN pg_am AS method ON method.oid = class.relam
    WHERE method.amname = 'btree' AND index.indisvalid
      AND class.relnamespace = current_schema()::regnamespace
    ORDER BY 1
"""
_TABLES = """
    SELECT oid::regclass::text FROM pg_class
    WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY 1
"""


def is_installed(conn: Connection) -> bool:
    """True where its functions can be called."""
    return conn.execute(text(_INSTALLED)).one_or_none() is not None


def relations(conn: Connection) -> tuple[list[str], list[str]]:
    """The tables and the indexes that it can look at."""
    return [row[0] for row in conn.execute(text(_TABLES))], [row[0] for row in conn.execute(text(_INDEXES))]


def faults_in_table(conn: Connection, table: str) -> list[str]:
    """What is wrong with the rows of one table. Takes no lock that a writer waits for."""
    found = conn.execute(text("SELECT msg FROM verify_heapam(CAST(:table AS regclass))"), {"table": table})
    return [f"{table}: {row[0]}" for row in found]


def faults_in_index(conn: Connection, index: str) -> list[str]:
    """Have one index looked at: empty where it is whole, else the server raises an error (`is_damage`)."""
    conn.execute(text("SELECT bt_index_check(CAST(:index AS regclass))"), {"index": index})
    return []


def is_damage(error: StorageError) -> bool:
    """True for an error by which the server says that its files are damaged, not that it is away."""
    said = getattr(error.__cause__, "orig", None)
    return str(getattr(said, "sqlstate", None) or "").startswith(_DAMAGE)
