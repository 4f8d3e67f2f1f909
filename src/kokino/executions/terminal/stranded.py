"""Where who types does not get on."""

from __future__ import annotations

from kokino.agents.drivers.text import one_line
from kokino.agents.failures import FailureKind

#: The last lines of a screen that are quoted where it is the reason.
QUOTED = 12


class Stranded(Exception):
    """It does not get on; with the kind of failure that it is."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def quoted(screen: str) -> str:
    """The end of a screen in one line, for a person."""
    lines = [line.strip() for line in screen.split("\n") if line.strip()]
    return one_line(" / ".join(lines[-QUOTED:]) or "(empty)", limit=600)
