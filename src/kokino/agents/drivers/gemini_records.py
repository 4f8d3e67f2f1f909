"""The records of ``gemini --output-format stream-json``, as far as we read them.

Every other field is passed over, and all are loosely typed: a reader must outlive the CLI's next version.
"""

from __future__ import annotations

from msgspec import Raw, Struct


class Init(Struct):
    """``init``, the first record of a run."""

    session_id: str


class Message(Struct):
    """``message``: the prompt of the user, or a piece of the assistant's answer."""

    role: str = ""
    content: str = ""


class ToolUse(Struct):
    """``tool_use``: a call begins."""

    tool_id: str
    tool_name: str = "a tool"
    #: As the CLI wrote it: it is shown and compared, never read.
    parameters: Raw = Raw()


class ToolResult(Struct):
    """``tool_result``: a call has ended."""

    tool_id: str


class Trouble(Struct):
    """``error``, and what a result says of it."""

    message: str = ""
    severity: str = ""


class Stats(Struct):
    """``stats`` of one process: cached tokens are among the input's; thoughts are in the total alone."""

    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached: int = 0


class Result(Struct):
    """``result``, the last word of a run."""

    status: str = ""
    error: Trouble | None = None
    stats: Stats | None = None
