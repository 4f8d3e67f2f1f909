"""Which of a server's errors tell of damage."""

from __future__ import annotations

import pytest
from psycopg import errors
from sqlalchemy.exc import DBAPIError

from kokino.errors import StorageError
from kokino.storage.amcheck import damage_in


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (errors.DataCorrupted("invalid page\nCONTEXT: a read"), "invalid page"),
        (errors.IndexCorrupted("item order invariant violated"), "item order invariant violated"),
        (errors.AdminShutdown("terminating connection"), None),
        (errors.InsufficientPrivilege("permission denied"), None),
    ],
)
def test_damage_is_told_from_a_server_that_is_away(said: Exception, expected: str | None) -> None:
    """Only the first is for the data team."""
    error = StorageError("the server said something")
    error.__cause__ = DBAPIError("SELECT", None, said)
    assert damage_in(error) == expected


def test_an_error_without_a_cause_is_no_damage() -> None:
    """A storage that is closed, for one."""
    assert damage_in(StorageError("the database is closed")) is None
