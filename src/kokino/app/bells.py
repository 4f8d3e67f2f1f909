"""Who is woken by what."""

from __future__ import annotations

from dataclasses import dataclass

from kokino.engine.loop import Engine
from kokino.executions.local import LocalDispatch
from kokino.executions.model import Execution


@dataclass(slots=True)
class Bells:
    """Who is woken by what. Made before the parts that ring them and those that they wake."""

    dispatch: LocalDispatch | None = None
    engine: Engine | None = None

    def wake(self) -> None:
        """Something that only the engine waits for."""
        if self.engine is not None:
            self.engine.wake()

    def changed(self) -> None:
        """Something that may let executions run."""
        if self.dispatch is not None:
            self.dispatch.wake()
        self.wake()

    def ended(self, _execution: Execution) -> None:
        """An execution ended: its agent is free, and an alert may have to fire."""
        self.changed()
