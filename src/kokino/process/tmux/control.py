"""The lines of tmux's control mode, read and written; see CONTROL MODE in tmux(1).

What a program writes to its terminal never comes by this way: a screen is saved to a file (`client.py`), so
nothing that an agent shows can pass for an answer of tmux.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kokino.errors import ProcessError

#: ``%begin 1363006971 2 1``: time, number and flags of a command; its ``%end`` or ``%error`` repeats them.
_GUARD = re.compile(rb"%(begin|end|error) (\d+ \d+ \d+)")
#: ``%output %0 text``; bytes below a space, and the backslash, stand as three octal digits.
_OUTPUT = re.compile(rb"%output (%\d+) (.*)", re.DOTALL)
_OCTAL = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command came to."""

    #: True between ``%begin`` and ``%end``, false before ``%error``.
    is_good: bool
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """A pane's program wrote something."""

    pane: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Exit:
    """The client is being detached, or the server is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Anything else that tmux tells unasked."""

    name: str
    rest: str


Message = Reply | Output | Exit | Notice


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


def _told(line: bytes) -> Message | None:
    if output := _OUTPUT.fullmatch(line):
        return Output(
            output[1].decode(), _OCTAL.sub(lambda found: bytes([int(found[1], 8) & 255]), output[2])
        )
    name, _, rest = line.decode("utf-8", "replace").partition(" ")
    if not name.startswith("%"):
        return None  # the escape sequence that -CC begins and ends with, or a message for a person
    return Exit(rest) if name == "%exit" else Notice(name[1:], rest)


def command_line(*words: str) -> bytes:
    """One command as tmux reads it: each word is taken as it is. Raises `ProcessError`."""
    if any(control in word for word in words for control in "\0\n\r"):
        raise ProcessError(f"a command for tmux must be one line without NUL: {words!r}")
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in words).encode() + b"\n"
