"""Every error that Kokino raises on purpose.

    KokinoError
    ├── Invalid            422  what was sent or written is wrong; carries all faults at once
    │   └── ConfigInvalid       the same for a file, with line numbers
    ├── TooLarge           413
    ├── NotFound           404
    ├── Conflict           409  true now, may be otherwise later
    │   └── Busy                the agent's lock was not free in time
    ├── QueueFull          429
    ├── Unavailable        503  refused for now: paused, no way to run; says when to come back
    ├── Denied             401 / 403
    ├── StorageError            the database cannot be used
    └── ProcessError            a process could not be started or reached

A message says what happened, where, and what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong in what somebody wrote or sent."""

    #: Dotted path of the value, as the writer would spell it: ``agents[1].cwd``.
    field: str
    #: What is wrong and what would be right.
    message: str
    #: File that holds the value; ``None`` for a request.
    file: str | None = None
    #: Line in that file, from 1; ``None`` where it cannot be told.
    line: int | None = None

    def __str__(self) -> str:
        where = self.file or ""
        if self.file and self.line:
            where = f"{self.file}:{self.line}"
        return f"{where}: {self.field}: {self.message}" if where else f"{self.field}: {self.message}"


class KokinoError(Exception):
    """Root of all errors that Kokino raises on purpose."""

    #: HTTP status that the API answers with.
    status: ClassVar[int] = 500
    #: The word for machines, ``error`` in a problem+json.
    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.message = message
        #: When it may be worth another try; becomes ``Retry-After``.
        self.retry_after = retry_after


class Invalid(KokinoError):
    """Input that cannot be accepted; ``faults`` lists everything that is wrong with it."""

    status = 422
    code = "invalid"

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


class ConfigInvalid(Invalid):
    """A configuration, rule or playbook file with faults, each with its line."""

    code = "config_invalid"

    def __init__(self, faults: Sequence[Fault]) -> None:
        listed = "\n".join(f"  {fault}" for fault in faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"the configuration has {count}:\n{listed}", faults)


class TooLarge(KokinoError):
    """A body or prompt over its limit."""

    status = 413
    code = "too_large"


class NotFound(KokinoError):
    """What the request names does not exist."""

    status = 404
    code = "not_found"


class Conflict(KokinoError):
    """Not possible in the present state."""

    status = 409
    code = "conflict"


class Busy(Conflict):
    """The agent was not free in time."""

    code = "lock_timeout"


class QueueFull(KokinoError):
    """An agent's queue is at its bound; the execution was not accepted."""

    status = 429
    code = "queue_full"


class Unavailable(KokinoError):
    """Refused for now; the message says why and what would let it through."""

    status = 503
    code = "unavailable"


class Denied(KokinoError):
    """The caller may not do this."""

    status = 403
    code = "denied"


class StorageError(KokinoError):
    """The database cannot be opened, read or written."""

    status = 503
    code = "storage"


class ProcessError(KokinoError):
    """A process could not be started or reached."""

    status = 503
    code = "process"
