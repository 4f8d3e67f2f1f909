"""The standard input of a CLI that is spoken with: a FIFO that the broker writes to and never waits for."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

#: What one write may take, in bytes: as much as Linux keeps in a FIFO.
CHUNK = 64 * 1024
#: So much may be sent while earlier words still wait to be read, in bytes. What is sent to one that reads may
#: be of any size, a prompt has megabytes; one that does not read must not fill the broker's memory.
BEHIND = 1024 * 1024


@dataclass(slots=True)
class Channel:
    """One direction: what the CLI says comes by its spool file like any other CLI's.

    The broker alone holds it open: the CLI reads the end of its input when the broker closes it or is gone.
    """

    path: Path
    _reader: int | None = None
    _writer: int | None = None
    _unsent: bytearray = field(default_factory=bytearray)
    #: How much of it at the most was sent while something waited already.
    _behind: int = 0
    _is_watched: bool = False
    _is_ending: bool = False

    @property
    def unsent(self) -> int:
        """How many bytes wait for room."""
        return len(self._unsent)

    def create(self) -> None:
        """Make the FIFO, for this user only, and open it. Raises OSError."""
        os.mkfifo(self.path, 0o600)
        # A FIFO cannot be opened for writing while nobody reads it: until the CLI does, we do so ourselves.
        self._reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self._writer = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)

    def handed_over(self) -> None:
        """The CLI has it open by now: from here on it is noticed when nobody reads any more."""
        if self._reader is not None:
            os.close(self._reader)
            self._reader = None

    def send(self, data: bytes) -> bool:
        """Write it, behind what has been sent before; what finds no room follows when there is some.

        False where too much waits already: the CLI does not read, and the channel is closed.
        """
        if not data or self._writer is None or self._is_ending:
            return True
        self._behind += len(data) if self._unsent else 0
        if self._behind > BEHIND:
            self.close()
            return False
        self._unsent += data
        self._write(self._writer)
        return True

    def end(self) -> None:
        """Close it behind what has been sent."""
        self._is_ending = True
        if not self._unsent:
            self.close()

    def close(self) -> None:
        """Close it now, whatever has not been read."""
        self._is_ending = True
        self._unsent.clear()
        self.handed_over()
        if self._writer is not None:
            self._unwatch(self._writer)
            os.close(self._writer)
            self._writer = None

    def _write(self, writer: int) -> None:
        try:
            while self._unsent:
                del self._unsent[: os.write(writer, self._unsent[:CHUNK])]
                self._behind = min(self._behind, len(self._unsent))
        except BlockingIOError:
            self._watch(writer)
            return
        except OSError:  # nobody reads it any more; how the CLI ended is told elsewhere
            self.close()
            return
        self._unwatch(writer)
        if self._is_ending:
            self.close()

    def _watch(self, writer: int) -> None:
        if not self._is_watched:
            asyncio.get_running_loop().add_writer(writer, self._write, writer)
            self._is_watched = True

    def _unwatch(self, writer: int) -> None:
        if self._is_watched:
            asyncio.get_running_loop().remove_writer(writer)
            self._is_watched = False
