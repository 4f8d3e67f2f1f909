"""Lets many wait for what happens to an execution, without asking the database again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum


class Topic(StrEnum):
    """What can be waited for."""

    RECORDS = "records"
    END = "end"


class Watch:
    """Rings a bell for everybody who listens. It carries no news: the listener then reads the database."""

    def __init__(self) -> None:
        self._bells: dict[tuple[Topic, str], set[asyncio.Event]] = {}
        #: Nothing is heard here any more, though executions may go on: the next broker knows of it.
        self.is_closed = False

    @contextmanager
    def listen(self, execution_id: str, *topics: Topic) -> Iterator[asyncio.Event]:
        """An event that is set when one of `topics` happens; clear it before you look again."""
        bell = asyncio.Event()
        keys = [(topic, execution_id) for topic in topics]
        for key in keys:
            self._bells.setdefault(key, set()).add(bell)
        try:
            yield bell
        finally:
            for key in keys:
                self._bells[key].discard(bell)
                if not self._bells[key]:
                    del self._bells[key]

    def close(self) -> None:
        """Tell all who listen that they need not wait here."""
        self.is_closed = True
        for bells in self._bells.values():
            for bell in bells:
                bell.set()

    def ring(self, topic: Topic, execution_id: str) -> None:
        """Tell those who listen."""
        for bell in self._bells.get((topic, execution_id), ()):
            bell.set()
