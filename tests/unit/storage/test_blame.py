"""Whom an error within a shared transaction concerns."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import psycopg
import pytest
from psycopg import errors
from sqlalchemy.exc import DBAPIError

from kokino.storage import postgresql, sqlite
from kokino.storage.writer import Blame


def wrapped(error: BaseException, *, is_lost: bool = False) -> DBAPIError:
    """As it comes from SQLAlchemy."""
    return DBAPIError("SELECT 1", {}, error, connection_invalidated=is_lost)


def coded(code: int, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> DBAPIError:
    """An error of SQLite's with its number."""
    error = kind("it failed")
    error.sqlite_errorcode = code
    return wrapped(error)


@pytest.mark.parametrize(
    ("error", "whose"),
    [
        (errors.SerializationFailure(), Blame.COLLISION),
        (errors.DeadlockDetected(), Blame.COLLISION),
        (errors.UniqueViolation(), Blame.SNAPSHOT),
        (errors.ForeignKeyViolation(), Blame.CALLER),
        (errors.UndefinedTable(), Blame.CALLER),
        (errors.QueryCanceled(), Blame.CALLER),
        (errors.LockNotAvailable(), Blame.CALLER),
        (errors.DiskFull(), Blame.DATABASE),
        (errors.AdminShutdown(), Blame.DATABASE),
        (errors.IoError(), Blame.DATABASE),
        (errors.ReadOnlySqlTransaction(), Blame.DATABASE),
        (errors.DataCorrupted(), Blame.DATABASE),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_postgresql_tells_by_its_sqlstate(error: psycopg.Error, whose: Blame) -> None:
    """Collisions are run again, the server's troubles are everybody's, the rest is one caller's."""
    assert postgresql.blame(wrapped(error)) is whose


def test_a_lost_session_is_everybodys() -> None:
    """Whatever the words in which it was noticed."""
    assert postgresql.blame(wrapped(psycopg.OperationalError("gone"), is_lost=True)) is Blame.DATABASE


@pytest.mark.parametrize(
    ("error", "whose"),
    [
        (coded(sqlite3.SQLITE_ERROR), Blame.CALLER),
        (coded(sqlite3.SQLITE_CONSTRAINT, sqlite3.IntegrityError), Blame.CALLER),
        (coded(sqlite3.SQLITE_FULL), Blame.DATABASE),
        (coded(sqlite3.SQLITE_BUSY), Blame.DATABASE),
        (coded(sqlite3.SQLITE_CORRUPT, sqlite3.DatabaseError), Blame.DATABASE),
    ],
)
def test_sqlite_tells_by_its_result_code(error: DBAPIError, whose: Blame) -> None:
    """A faulty statement or value is one caller's, the file's troubles are everybody's."""
    assert sqlite.blame(error) is whose


@pytest.mark.parametrize("blame", [sqlite.blame, postgresql.blame], ids=["sqlite", "postgresql"])
def test_what_is_none_of_the_databases_is_its_callers(blame: Callable[[BaseException], Blame]) -> None:
    """A function that changes its mind harms nobody."""
    assert blame(LookupError("changed my mind")) is Blame.CALLER
