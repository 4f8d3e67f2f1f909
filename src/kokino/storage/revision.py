"""Which schema a database has, and which this version declares; no migration tool is loaded for that."""

from __future__ import annotations

import sqlite3
from importlib.resources import files

from sqlalchemy import Connection, column, inspect, select, table

from kokino.errors import StorageError

#: Where the migration tool keeps a database's revision.
KEPT = table("alembic_version", column("version_num"))


def known() -> tuple[str, ...]:
    """Every revision that this version knows, oldest first: the scripts' names begin with theirs."""
    scripts = files("kokino.storage") / "migrations" / "versions"
    return tuple(
        sorted(name.partition("_")[0] for each in scripts.iterdir() if (name := each.name).endswith(".py"))
    )


def head() -> str:
    """The schema that this version declares."""
    return known()[-1]


def revision_of(conn: Connection) -> str | None:
    """The schema that a database has; None for one that has none of ours."""
    if not inspect(conn).has_table(KEPT.name):
        return None
    found: str | None = conn.execute(select(KEPT.c.version_num)).scalar()
    return found


def revision_in(conn: sqlite3.Connection) -> str | None:
    """The same of a SQLite file that is looked into without an engine."""
    is_ours = conn.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [KEPT.name]).fetchone()
    found = conn.execute("SELECT version_num FROM alembic_version").fetchone() if is_ours else None
    return None if found is None else str(found[0])


def check_known(found: str | None, where: str) -> None:
    """Raise `StorageError` for a schema of a newer version, which this one would only damage."""
    if found is not None and found not in known():
        raise StorageError(
            f"{where}: its schema {found} is of a newer Kokino, and this version knows those up to {head()}:"
            " install that version again, or restore a backup that was made before it, see docs/integrity.md"
        )
