"""Who waits for the end of an execution, so that one which nobody waits for any more can be cancelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Attendance:
    """Counts the callers that wait, by execution: one key may have brought several to the same one."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many executions somebody waits for."""
        return len(self._waiting)

    def is_awaited(self, execution_id: str) -> bool:
        """True while some caller waits for it."""
        return execution_id in self._waiting

    @contextmanager
    def waits(self, execution_id: str) -> Iterator[None]:
        """One caller more, inside the block."""
        self._waiting[execution_id] += 1
        try:
            yield
        finally:
            self._waiting[execution_id] -= 1
            if not self._waiting[execution_id]:
                del self._waiting[execution_id]
