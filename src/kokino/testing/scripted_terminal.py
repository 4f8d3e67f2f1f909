"""The scripted agent's screen and keys: as Claude Code's, as far as who types has to know them.

An input box between two rules, its answers above, and below it ``esc to interrupt`` while it works. Bracketed
pastes are taken whole; Escape or Ctrl-C stops a turn, and Ctrl-C twice at the prompt ends it. Loaded by
`scripted_agent.py` alone; standard library only. ``KOKINO_SCRIPTED_TERMINAL`` has words for tests: ``trust``
asks first whether the folder is trusted, ``deaf`` does not hear the first Enter, ``blank`` never draws a box.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

PASTE_BEGINS, PASTE_ENDS = b"\x1b[200~", b"\x1b[201~"
#: Alone it is a key; whatever begins with it is another one, or a paste.
ESCAPE = b"\x1b"
KEY = re.compile(rb"\x1b(?:[\[O][0-9;]*[@-~])?")
RULE = "─" * 100
#: Longer texts are shown in the box by their length alone.
SHOWN_LINES, SHOWN_LETTERS = 3, 200
MARK = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"
TRUST = (
    "Is this a project you created or one you trust?",
    f"{MARK} 1. Yes, I trust this folder",
    "  2. No, exit",
)


class Terminal:
    """Reads prompts and shows answers; standard input must be a terminal."""

    def __init__(self, version: str) -> None:
        self._words = set(os.environ.get("KOKINO_SCRIPTED_TERMINAL", "").split())
        self._box = ""
        self._note = ""
        #: How many lines of the box are drawn now.
        self._drawn = 0
        self._is_pasting = False
        #: A turn is under way; what is typed meanwhile is for the box.
        self._is_working = False
        self._ahead = b""
        self._keep_keys()
        self._be_told_of_keys()
        sys.stdout.write(f"\x1b[?2004h Scripted agent {version}\n")
        if "trust" in self._words:
            self._ask_for_trust()

    def prompts(self) -> Iterator[str]:
        """Every prompt that is sent; ends at the second Ctrl-C."""
        while (prompt := self._next()) is not None:
            self.show(f"{MARK} {shown(prompt)}")
            self._note = "  ✻ Working… (esc to interrupt)"
            self._draw()
            self._is_working = True
            yield prompt
            self._is_working, self._note = False, ""

    def show(self, text: str) -> None:
        """Put a text above the box."""
        self._wipe()
        sys.stdout.write("\n" + text.replace("\n", "\n  ") + "\n")
        self._draw()

    def _next(self) -> str | None:
        pending, is_leaving = b"", False
        self._draw()
        while True:
            try:
                pending = self._take(pending + self._typed())
            except KeyboardInterrupt:
                if is_leaving:
                    return None
                is_leaving, self._box, self._note = True, "", "  Press Ctrl-C again to exit"
            self._draw()
            if pending.startswith(b"\n"):
                pending = pending[1:]
                if self._hears_enter():
                    prompt, self._box = self._box, ""
                    return prompt

    def _typed(self) -> bytes:
        ahead, self._ahead = self._ahead, b""
        return ahead or os.read(0, 65536)

    def _hears_enter(self) -> bool:
        if "deaf" in self._words:
            self._words.discard("deaf")
            return False
        return bool(self._box)

    def _take(self, data: bytes) -> bytes:
        """Put what was typed and pasted into the box, up to an Enter; what is left."""
        while data:
            mark = PASTE_ENDS if self._is_pasting else PASTE_BEGINS
            if data.startswith(mark):
                self._is_pasting, data = not self._is_pasting, data[len(mark) :]
            elif mark.startswith(data) or (data[:1] == b"\n" and not self._is_pasting):
                return data  # half a mark, or Enter
            else:
                end = self._next_stop(data)
                self._box += text_in(data[:end])
                data = data[end:]
        return b""

    def _next_stop(self, data: bytes) -> int:
        stops = [data.find(b"\x1b", 1)]  # a mark, or the half of one: a read ends anywhere
        if not self._is_pasting:
            stops.append(data.find(b"\n", 1))
        return min((stop for stop in stops if stop > 0), default=len(data))

    def _draw(self) -> None:
        self._wipe()
        if "blank" not in self._words:
            lines = [RULE, f"{MARK} {shown(self._box)}", RULE, self._note or "  ? for shortcuts"]
            text = "\n".join(lines) + "\n"
            self._drawn = text.count("\n")
            sys.stdout.write(text)
        sys.stdout.flush()

    def _wipe(self) -> None:
        if self._drawn:
            sys.stdout.write(f"\r\x1b[{self._drawn}A\x1b[J")
        self._drawn = 0

    def _keep_keys(self) -> None:
        attributes = termios.tcgetattr(0)
        attributes[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(0, termios.TCSANOW, attributes)

    def _be_told_of_keys(self) -> None:
        """While it works nobody reads: the kernel tells of each key by a signal."""
        signal.signal(signal.SIGIO, self._hear_escape)
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)

    def _hear_escape(self, number: int, frame: object) -> None:
        """Escape is taken as Ctrl-C is, by a turn that ignores that one too."""
        if not self._is_working or not select.select([0], [], [], 0)[0]:
            return
        key = os.read(0, 65536)
        if key == ESCAPE:
            signal.raise_signal(signal.SIGINT)
        else:
            self._ahead += key

    def _ask_for_trust(self) -> None:
        sys.stdout.write("\n".join([str(Path.cwd()), *TRUST, ""]))
        sys.stdout.flush()
        while os.read(0, 1) not in {b"1", b"\n"}:
            pass


def text_in(data: bytes) -> str:
    """What was typed, without the keys that are no text: arrows and their like, and Escape."""
    return KEY.sub(b"", data).decode("utf-8", "replace")


def shown(text: str) -> str:
    """A text as the box shows it."""
    lines = text.split("\n")
    if len(lines) > SHOWN_LINES or len(text) > SHOWN_LETTERS:
        return f"[Pasted text +{len(lines) - 1} lines]"
    return "\n  ".join(lines)
