"""PostgreSQL's own look at its files: the extension amcheck, where a superuser has installed it."""

from __future__ import annotations

from dataclasses import dataclass

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
#: The tables of this schema, each with the table that holds its long values.
_TABLES = """
    WITH ours AS (
        SELECT oid, relname, reltoastrelid FROM pg_class
        WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
    )
    SELECT oid::regclass::text AS name, relname AS said, oid FROM ours
    UNION ALL
    SELECT reltoastrelid::regclass::text, 'long values of ' || relname, reltoastrelid FROM ours
    WHERE reltoastrelid <> 0
"""
_INDEXES = f"""
    SELECT index.indexrelid::regclass::text AS name,
        CASE WHEN tables.said = tables.name THEN class.relname ELSE 'index of the ' || tables.said END AS said
    FROM ({_TABLES}) AS tables
    JOIN pg_index AS index ON index.indrelid = tables.oid
    JOIN pg_class AS class ON class.oid = index.indexrelid
    JOIN pg_am AS method ON method.oid = class.relam
    WHERE method.amname = 'btree' AND index.indisvalid
"""  # noqa: S608 - ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A table or an index."""

    #: As the server takes it.
    name: str
    #: As people know it: ``turns``, or ``long values of turns``.
    said: str


def is_installed(conn: Connection) -> bool:
    """True where its functions can be called."""
    return conn.execute(text(_INSTALLED)).one_or_none() is not None


def relations(conn: Connection) -> tuple[list[Relation], list[Relation]]:
    """The tables and the indexes that it can look at."""
    return _relations(conn, _TABLES), _relations(conn, _INDEXES)


def faults_in_table(conn: Connection, table: Relation) -> list[str]:
    """What is wrong with the rows of one table. Takes no lock that a writer waits for."""
    look = text("SELECT msg FROM verify_heapam(CAST(:table AS regclass))")
    return [f"{table.said}: {row[0]}" for row in conn.execute(look, {"table": table.name})]


def faults_in_index(conn: Connection, index: Relation) -> list[str]:
    """Have one index looked at: empty where it is whole, else the server raises an error (`damage_in`)."""
    conn.execute(text("SELECT bt_index_check(CAST(:index AS regclass))"), {"index": index.name})
    return []


def damage_in(error: StorageError) -> str | None:
    """What a server says that gives up reading its files; None for another error of its own."""
    said = getattr(error.__cause__, "orig", None)
    is_damage = str(getattr(said, "sqlstate", None) or "").startswith(_DAMAGE)
    return str(said).strip().partition("\n")[0] if is_damage else None


def _relations(conn: Connection, query: str) -> list[Relation]:
    found = conn.execute(text(f"SELECT name, said FROM ({query}) AS found ORDER BY said"))  # noqa: S608 - ours
    return [Relation(name=row.name, said=row.said) for row in found]
