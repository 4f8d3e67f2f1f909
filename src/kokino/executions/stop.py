"""Why the tree of an execution is ended before it ends by itself."""

from __future__ import annotations

from enum import StrEnum


class Stop(StrEnum):
    """Why we ended it ourselves."""

    CANCEL = "cancel"
    SHUTDOWN = "shutdown"
    TIMEOUT = "timeout"
    IDLE = "idle"
    #: It had said its last word and did not exit.
    LINGER = "linger"
    #: Its records took more than its output may.
    OUTPUT = "output"
    #: It could not be worked in its terminal; the typist knows why.
    STRANDED = "stranded"
    #: The file of its session was cut: what it says now cannot be told from what it said before.
    CUT = "cut"
    #: It was spoken with by a broker that is gone: nobody can go on with a dialogue.
    ORPHANED = "orphaned"
