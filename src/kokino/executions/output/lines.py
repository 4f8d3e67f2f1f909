"""Cut a growing byte stream into lines, whatever it holds."""

from __future__ import annotations

from dataclasses import dataclass, field

#: The longest line that is handed on whole, in bytes; claude's own input limit is 10 MB.
LONGEST_LINE = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One line, without its newline."""

    #: Its first `LONGEST_LINE` bytes.
    body: bytes
    #: Its length before it was cut.
    size: int
    #: Where it begins in its stream, in bytes; known to who reads the stream. None for the half of a line
    #: after which its writer emptied the file.
    begins_at: int | None = 0


@dataclass(slots=True)
class LineSplitter:
    """Keeps what has no newline yet; memory stays below one longest line and one chunk."""

    _pending: bytearray = field(default_factory=bytearray)
    _size: int = 0

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that `chunk` completes."""
        *complete, rest = chunk.split(b"\n")
        lines = []
        for piece in complete:
            self._take(piece)
            lines.append(self._cut())
        self._take(rest)
        return lines

    def finish(self) -> list[Line]:
        """The half line at the end, if there is one."""
        return [self._cut()] if self._size else []

    def _take(self, piece: bytes) -> None:
        self._size += len(piece)
        room = LONGEST_LINE - len(self._pending)
        self._pending += piece[:room]

    def _cut(self) -> Line:
        line = Line(bytes(self._pending), self._size)
        self._pending.clear()
        self._size = 0
        return line
