"""What ``opencode run --format json --print-logs`` writes, as far as we read it.

Its records are few; its log on standard error tells what they leave out. All fields are optional and loosely
typed, for a reader must outlive the CLI's next version.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw, Struct


class Named(Struct, rename={"session_id": "sessionID"}):
    """What every record has."""

    session_id: str | None = None


class Text(Struct):
    """What was said."""

    text: str = ""
    #: True where the CLI speaks in the user's place, after it has compacted the conversation.
    synthetic: bool = False


class Said(Struct):
    """``text``: one whole piece of a message."""

    part: Text


class State(Struct):
    """How a call went."""

    #: As the CLI wrote it: it is shown and compared, never read.
    input: Raw = Raw()


class Call(Struct, rename={"call_id": "callID"}):
    """A call of a tool."""

    call_id: str = ""
    tool: str = ""
    state: State = msgspec.field(default_factory=State)


class Called(Struct):
    """``tool_use``, told once the call is done."""

    part: Call


class Step(Struct):
    """Why a step ended: ``stop``, ``length``, ``tool-calls``."""

    reason: str = ""


class Finished(Struct):
    """``step_finish``: the model has answered once."""

    part: Step


class Cache(Struct):
    """Tokens that were read from the service's cache or written to it."""

    read: float | None = None
    write: float | None = None


class Tokens(Struct):
    """Tokens of a step, each counted in one place only."""

    input: float | None = None
    output: float | None = None
    reasoning: float | None = None
    cache: Cache = msgspec.field(default_factory=Cache)


class Costs(Struct):
    """What a step took."""

    tokens: Tokens = msgspec.field(default_factory=Tokens)
    #: Dollars.
    cost: float | None = None


class Bill(Struct):
    """``step_finish`` again, for its figures."""

    part: Costs


class Details(Struct, rename="camel"):
    """What is known of a failure."""

    message: str = ""
    status_code: int | None = None
    is_retryable: bool | None = None
    response_body: str = ""


class Failure(Struct):
    """A failure by its name, such as ``APIError``."""

    name: str = ""
    data: Details = msgspec.field(default_factory=Details)


class Failed(Struct):
    """``error``."""

    error: Failure


#: A line of the log is read so far, in bytes: what comes then are stacks.
LINE_READ = 4000
_FIELD = re.compile(r'(?:^|\s)([\w.]+)=(?:"((?:[^"\\]|\\.)*)|(\S*))')


def log_line(line: bytes) -> dict[str, str] | None:
    """The fields of a line of the log, ``timestamp=... level=INFO message=loop``; None where it is none."""
    if not line.startswith(b"timestamp="):
        return None
    text = line[:LINE_READ].decode("utf-8", "replace")
    return {name: _plain(quoted) if quoted else bare for name, quoted, bare in _FIELD.findall(text)}


def _plain(quoted: str) -> str:
    return quoted.replace("\\n", "\n").replace('\\"', '"')
