"""An empty database for each example of a property test: made once, and left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from sqlalchemy import Connection, Engine, StaticPool, create_engine

from kokino.storage.schema import metadata


@contextmanager
def empty_database() -> Iterator[Connection]:
    """A connection in a transaction that is taken back at the end."""
    with _engine().connect() as conn:
        try:
            yield conn
        finally:
            conn.rollback()


@cache
def _engine() -> Engine:
    """One for all: what SQLAlchemy has compiled once is not compiled again for each example."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    return engine
