"""The lines of tmux's control mode, read and written; see CONTROL MODE in tmux(1).

What a program writes to its terminal never comes by this way: a screen is saved to a file (`terminal.py`), so
nothing that an agent shows can pass for an answer of tmux.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kokino.errors import ProcessError

#: ``%begin 1363006971 2 1``: time, number and flags of a command; its ``%end`` or ``%error`` repeats them.
_GUARD = re.compile(rb"%(begin|end|error) (\d+ \d+ \d+)")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command came to."""

    #: True between ``%begin`` and ``%end``, false before ``%error``.
    is_good: bool
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exit:
    """The client is being detached, or the server is gone."""

    reason: str


Message = Reply | Exit


@dataclass(slots=True)
class Parser:
    """Cuts what a control client writes into messages, however it arrives in pieces."""

    _pending: bytes = b""
    #: Time, number and flags of the command whose answer is being read; None between answers.
    _guard: bytes | None = None
    _lines: list[str] = field(default_factory=list)

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that `chunk` completes."""
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        taken = (self._take(line) for line in lines)
        return [message for message in taken if message is not None]

    def _take(self, line: bytes) -> Message | None:
        guard = _GUARD.fullmatch(line)
        if self._guard is None:
            if guard is None or guard[1] != b"begin":
                return _told(line)
            self._begin(guard[2])
            return None
        if guard is None or guard[2] != self._guard or guard[1] == b"begin":
            self._lines.append(line.decode("utf-8", "replace"))
            return None
        reply = Reply(guard[1] == b"end", tuple(self._lines))
        self._guard = None
        return reply

    def _begin(self, guard: bytes) -> None:
        self._guard = guard
        self._lines.clear()


def _told(line: bytes) -> Exit | None:
    """What it tells unasked: of windows, of other clients. Only its leave matters here."""
    name, _, rest = line.decode("utf-8", "replace").partition(" ")
    return Exit(rest) if name == "%exit" else None


def command_line(*words: str) -> bytes:
    """One command as tmux reads it: each word is taken as it is. Raises `ProcessError`."""
    if any(control in word for word in words for control in "\0\n\r"):
        raise ProcessError(f"a command for tmux must be one line without NUL: {words!r}")
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in words).encode() + b"\n"
