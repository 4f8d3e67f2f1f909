"""Bring a database to the schema that this version declares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

#: Two brokers that start together on one PostgreSQL must not both migrate it. Any constant will do.
ADVISORY_LOCK = 0x6B6F6B696E6F


def migrate(engine: Engine) -> None:
    """Run every migration that this database has not seen, in one transaction."""
    with engine.begin() as conn:
        if engine.dialect.name == "postgresql":
            conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        upgrade(conn)


def upgrade(conn: Connection, revision: str = "head") -> None:
    """Run migrations up to `revision` on an open connection."""
    with _config() as config:
        config.attributes["connection"] = conn
        command.upgrade(config, revision)


@contextmanager
def _config() -> Iterator[Config]:
    with as_file(files("kokino.storage") / "migrations") as scripts:
        config = Config()
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        yield config
