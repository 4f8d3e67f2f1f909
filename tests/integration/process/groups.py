"""Control groups for tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Root:
    """What a broker would have been given."""

    path: Path
    #: False where no control group can be had: then everything has to go as well, by walks.
    is_real: bool

    def groups(self) -> list[Path]:
        """Of the executions."""
        return sorted(path for path in self.path.glob("kokino-*/*") if path.is_dir())
