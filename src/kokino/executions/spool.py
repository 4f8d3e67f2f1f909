"""The files of one running execution: its prompt going in, its output coming out, how it exited."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from kokino.executions.lines import Line, LineSplitter

#: What one look at a stream reads at the most, in bytes: keeps one flooding CLI from holding up the rest.
CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Spool:
    """A private folder for one execution. Gone once everything in it is recorded."""

    folder: Path

    @property
    def prompt(self) -> Path:
        """The prompt, as UTF-8."""
        return self.folder / "prompt"

    @property
    def stdout(self) -> Path:
        """What the CLI wrote to standard output."""
        return self.folder / "stdout"

    @property
    def stderr(self) -> Path:
        """What the CLI wrote to standard error."""
        return self.folder / "stderr"

    @property
    def exit(self) -> Path:
        """How it ended, written by its keeper."""
        return self.folder / "exit"

    def create(self, prompt: str) -> None:
        """Make the folder and the prompt, for this user only."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.prompt, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(prompt.encode())

    def remove(self) -> None:
        """Delete all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(slots=True)
class Tail:
    """Reads a file that another process appends to."""

    path: Path
    _splitter: LineSplitter = field(default_factory=LineSplitter)
    _descriptor: int | None = None

    def read(self) -> tuple[list[Line], int]:
        """The lines that have become whole since the last look, and how many bytes were read."""
        if self._descriptor is None:
            try:
                self._descriptor = os.open(self.path, os.O_RDONLY)
            except FileNotFoundError:
                return [], 0
        chunk = os.read(self._descriptor, CHUNK)
        return self._splitter.feed(chunk), len(chunk)

    def finish(self) -> list[Line]:
        """The half line at the end, once nobody writes any more; closes the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        return self._splitter.finish()
