"""Gives back the disk space of what has been recorded, while the CLI goes on writing to the same file."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from kokino.executions.model import Record
from kokino.process.spoolfile import punch

log = structlog.get_logger(__name__)

#: Holes are punched once there is so much to give back, in bytes: each costs a system call.
WORTH_IT = 1024 * 1024


@dataclass(slots=True)
class Space:
    """The space of one spool file, behind what has been recorded.

    A line whose record tells all of it is given back. One that was cut or is no text stays: after a broker's
    death the next one reads the stream again, from the records and, for such lines, from the file.
    """

    path: Path
    #: Nothing is given back: the file is somebody else's.
    is_kept: bool = False
    _start: int = 0
    _end: int = 0
    _descriptor: int | None = None
    #: False once the file system has said that it knows no holes, or has failed.
    _can_punch: bool = True

    def recorded(self, record: Record) -> None:
        """Note that a line is durable; gives space back when there is enough of it."""
        if record.begins_at is None or self.is_kept or not self._can_punch:
            return
        if is_whole(record) and record.begins_at == self._end:
            self._end += record.size + 1
        else:
            self._give_back()
            self._start = self._end = record.begins_at + (0 if is_whole(record) else record.size + 1)
            self._end += record.size + 1 if is_whole(record) else 0
        if self._end - self._start >= WORTH_IT:
            self._give_back()

    def begin_anew(self) -> None:
        """The file was emptied: what was recorded of it stands there no longer."""
        self._start = self._end = 0

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            with suppress(OSError):  # nothing was written by it
                os.close(self._descriptor)
            self._descriptor = None

    def _give_back(self) -> None:
        length = self._end - self._start
        if length < WORTH_IT:
            return
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            self._can_punch = punch(self._descriptor, self._start, length)
        except OSError as error:  # the records are safe; disk space is not worth an execution
            log.warning("no space of recorded output is given back", path=str(self.path), reason=str(error))
            self._can_punch = False
        self._start = self._end


def is_whole(record: Record) -> bool:
    """True where the record's text is the line, byte for byte."""
    return len(record.body.encode()) == record.size and "\ufffd" not in record.body
