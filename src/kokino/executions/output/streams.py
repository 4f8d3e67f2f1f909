"""The files that a CLI's lines are read from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kokino.executions.output.space import Space
from kokino.executions.output.spool import Tail


@dataclass(slots=True)
class Stream:
    """One file, as far as it was read."""

    name: str
    tail: Tail
    take: Callable[[bytes], None]
    space: Space

    def close(self) -> None:
        """Let go of the file."""
        self.tail.close()
        self.space.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file that lines are read from."""

    #: As the records are marked: ``stdout``, ``stderr``, ``session`` for a CLI's own file, ``screen``.
    name: str
    path: Path
    take: Callable[[bytes], None]
    #: Where this execution's lines begin, in bytes.
    begins_at: int = 0
    #: Space may be given back: nobody else reads it.
    is_ours: bool = True

    def stream(self) -> Stream:
        """To be read from its beginning."""
        return Stream(
            self.name,
            Tail(self.path, self.begins_at, floor=self.begins_at),
            self.take,
            Space(self.path, is_kept=not self.is_ours),
        )
