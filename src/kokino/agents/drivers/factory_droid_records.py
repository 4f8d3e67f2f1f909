"""The records of ``droid exec --output-format stream-json``, as far as we read them.

Every other field is passed over, and all are loosely typed: a reader must outlive the CLI's next version.
"""

from __future__ import annotations

from msgspec import Raw, Struct


class Init(Struct):
    """``system/init``, the first record of a run."""

    session_id: str


class Message(Struct):
    """``message``: the prompt, or what the assistant said."""

    id: str = ""
    role: str = ""
    text: str = ""


class ToolCall(Struct, rename="camel"):
    """``tool_call``: a call begins."""

    id: str
    #: The message of the assistant that asks for it.
    message_id: str = ""
    tool_name: str = "a tool"
    #: As the CLI wrote it: it is shown and compared, never read.
    parameters: Raw = Raw()


class ToolResult(Struct):
    """``tool_result``: a call has ended."""

    id: str


class Trouble(Struct):
    """``error``: of the source ``agent_loop`` why the run fails, of the source ``cli`` that it failed."""

    source: str = ""
    message: str = ""


class TokenCounts(Struct):
    """``usage``, counted from the session's first turn on."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0


class Completion(Struct, rename={"final_text": "finalText", "turns": "numTurns"}):
    """``completion``, the last record of a good run."""

    final_text: str = ""
    #: The assistant's messages in the whole session; it loses none when its context is made shorter.
    turns: int | None = None
    usage: TokenCounts | None = None
