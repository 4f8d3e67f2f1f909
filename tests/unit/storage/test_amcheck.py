"""Which of a server's errors tell of damage."""

from __future__ import annotations

import pytest
from psycopg import errors
from sqlalchemy.exc import DBAPIError

from kokino.errors import StorageError
from kokino.storage.amcheck import is_damage


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (errors.DataCorrupted("invalid page"), True),
        (errors.IndexCorrupted("item order invariant violated"), True),
        (errors.AdminShutdown("terminating connection"), False),
        (errors.InsufficientPrivilege("permission denied"), False),
    ],
)
def test_damage_is_told_from_a_server_that_is_away(said: Exception, expected: bool) -> None:
    """Only the first is for the data team."""
    error = StorageError("the server said something")
    error.__cause__ = DBAPIError("SELECT", None, said)
    assert is_damage(error) is expected


def test_an_error_without_a_cause_is_no_damage() -> None:
    """A storage that is closed, for one."""
    assert not is_damage(StorageError("the database is closed"))
