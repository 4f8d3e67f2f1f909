"""The records of ``codex exec --json``, as far as we read them: every other field is passed over.

All fields are optional and loosely typed, for a reader must outlive the CLI's next version.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct


class ThreadStarted(Struct):
    """``thread.started``, the first record: a new session's id, or the resumed one's."""

    thread_id: str


class Item(Struct):
    """One thing that the agent says or does."""

    id: str = ""
    type: str = ""
    #: What an agent_message says.
    text: str = ""
    #: Of an mcp_tool_call.
    server: str = ""
    tool: str = ""
    #: One of these is a call's input, as the CLI wrote it: it is shown and compared, never read.
    command: Raw = Raw()
    arguments: Raw = Raw()
    changes: Raw = Raw()
    query: Raw = Raw()
    prompt: Raw = Raw()

    @property
    def name(self) -> str:
        """By what name a call is shown."""
        return ".".join(filter(None, (self.server, self.tool))) or self.type

    @property
    def input(self) -> bytes:
        """What a call was given."""
        given = (self.command, self.arguments, self.changes, self.query, self.prompt)
        return next(filter(None, map(bytes, given)), b"")


class OfItem(Struct):
    """``item.started``, ``item.updated`` or ``item.completed``."""

    item: Item


class TokenCounts(Struct):
    """``usage``: cached tokens are among the input tokens, reasoning ones among the output tokens."""

    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    output_tokens: int | None = None


class TurnCompleted(Struct):
    """``turn.completed``, the last record of a good run."""

    usage: TokenCounts | None = None


class Trouble(Struct):
    """``error``: what the CLI struggles with; it may yet succeed."""

    message: str = ""


class TurnFailed(Struct):
    """``turn.failed``, the last record of a run that was given up."""

    error: Trouble = msgspec.field(default_factory=Trouble)
