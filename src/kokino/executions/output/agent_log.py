"""Each agent's log file: every line that its CLI wrote, for ``tail -f`` and ``grep``.

The records in the database are the truth; the file is a copy for people. Around a broker's death a line may
be missing from it, or stand in it twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kokino.clock import iso
from kokino.executions.model import Record

#: A file is put aside when it is larger, in bytes; as many older ones are kept as `KEPT` says.
LONGEST = 16 * 1024 * 1024
KEPT = 2


@dataclass(frozen=True, slots=True)
class AgentLog:
    """The log of one agent, below ``broker/logs/agents``."""

    path: Path

    def write(self, execution_id: str, records: Iterable[Record]) -> None:
        """Append lines. Raises OSError."""
        text = "".join(
            f"{iso(record.written_at)} {execution_id} {record.stream} {record.body}\n" for record in records
        )
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, text.encode())
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        if size > LONGEST:
            self._put_aside()

    def _put_aside(self) -> None:
        for number in range(KEPT, 1, -1):
            younger = self._older(number - 1)
            if younger.exists():
                younger.replace(self._older(number))
        self.path.replace(self._older(1))

    def _older(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
