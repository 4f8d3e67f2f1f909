"""The contract that both back ends keep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from kokino.storage.writes import Writes

T = TypeVar("T")


class Reading(Protocol):
    """A database that can be read."""

    @property
    def file(self) -> Path | None:
        """The file that it is in; None for a server's."""
        ...

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on a consistent snapshot; it cannot write.

        Raises `StorageError` when the database cannot be read.
        """
        ...


class Storage(Reading, Protocol):
    """A database that holds everything Kokino must not forget."""

    #: ``sqlite`` or ``postgresql``.
    dialect: str

    @property
    def writes(self) -> Writes:
        """How the writer has fared."""
        ...

    @property
    def waiting(self) -> int:
        """How many writes wait for the next commit."""
        ...

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in a transaction and return its value once that is durable.

        `fn` shares the transaction with others that wait, and may be run again. What it raises undoes only
        what it wrote and comes back to the caller. Raises `StorageError` when the commit failed: then nothing
        of it is kept, unless a server was lost in the very moment of the commit.
        """
        ...

    async def close(self) -> None:
        """Finish what was accepted, then let go of the file or server."""
        ...
