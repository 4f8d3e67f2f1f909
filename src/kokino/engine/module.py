"""What a module of the engine is."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, runtime_checkable


class Module(Protocol):
    """Finds what is due in the database and does it. A restart between any two calls loses nothing."""

    @property
    def name(self) -> str:
        """The word for it in logs, metrics and ``/readyz``."""
        ...

    async def run(self, now: datetime) -> datetime | None:
        """Do all that is due at `now`, quickly; long work goes into tasks of the module's own.

        Returns when it must be called again if nothing wakes it earlier; None if only a wake can bring work.
        """
        ...


@runtime_checkable
class BackgroundModule(Module, Protocol):
    """A module that works in the background too; the engine stops it when it stops itself."""

    @property
    def in_flight(self) -> int:
        """How many pieces of work have not ended."""
        ...

    async def stop(self) -> None:
        """End the background work."""
        ...
