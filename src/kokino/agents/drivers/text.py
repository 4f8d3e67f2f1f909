"""Texts of foreign programs, cut to a size that a broker can keep and a person can read."""

from __future__ import annotations

import re

#: An error text is one line for a person.
ERROR_LIMIT = 500
#: Streamed text and answers are kept up to so many characters: a flood must not fill the broker's memory.
CONTENT_LIMIT = 4 * 1024 * 1024

#: What colours a terminal and moves its cursor: ``ESC [ 31 m``.
_CONTROLS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
#: Where JSON may hold half a character, ``ud83d`` behind a backslash.
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
#: Every escape in JSON; two halves that make a character are one.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def uncoloured(text: str) -> str:
    """A text without what is meant for a terminal."""
    return _CONTROLS.sub("", text)


def repaired(line: bytes) -> bytes:
    """A line of JSON without what its decoder refuses in a string: broken UTF-8, halves of surrogate pairs.

    The decoder is strict in fields that nobody reads, too, and a CLI that cuts a tool's output in the middle
    of an emoji writes such a half: Claude Code does.
    """
    text = line.decode("utf-8", "replace").encode()
    return _ESCAPE.sub(_whole, text) if _HALF.search(text) else text


def one_line(text: str, *, limit: int = ERROR_LIMIT) -> str:
    """A text with its white space squeezed and its length bounded."""
    squeezed = " ".join(text[: 8 * limit].split())
    return squeezed if len(squeezed) <= limit else squeezed[: limit - 1] + "…"


class StreamedText:
    """What the model has said so far, up to the limit."""

    def __init__(self) -> None:
        self._messages: list[str] = []
        self._pieces: list[str] = []
        #: Characters kept; messages and pieces of one are counted alike, so the bound is not exact.
        self._length = 0

    def piece(self, text: str) -> None:
        """Take a part of a message that is still being written."""
        self._keep(self._pieces, text)

    def message(self, text: str) -> None:
        """Take a whole message, in place of the pieces that foretold it."""
        self._length -= sum(map(len, self._pieces))
        self._pieces.clear()
        self._keep(self._messages, text)

    def end_message(self) -> None:
        """The message in writing is whole, for dialects that never say it again as one."""
        self._messages += ["".join(self._pieces)] if self._pieces else []
        self._pieces.clear()

    def so_far(self) -> str:
        """All of it, the message in writing last."""
        return "\n".join(filter(None, [*self._messages, "".join(self._pieces)]))

    def _keep(self, kept: list[str], text: str) -> None:
        if text and self._length < CONTENT_LIMIT:
            kept.append(text[:CONTENT_LIMIT])
            self._length += len(kept[-1])


def _whole(escape: re.Match[bytes]) -> bytes:
    # Every escape is looked at, for behind an escaped backslash stands no escape.
    return rb"\ufffd" if escape["half"] else escape[0]
