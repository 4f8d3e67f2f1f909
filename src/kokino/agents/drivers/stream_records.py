"""The stream-json dialect's records, as far as we read them: every other field is passed over.

All fields are optional and loosely typed, for a reader must outlive the CLI's next version.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct


class Named(Struct):
    """What every record of a session has."""

    session_id: str | None = None


class Init(Struct):
    """``system/init``, the first record of a run."""

    claude_code_version: str | None = None
    qwen_code_version: str | None = None

    @property
    def version(self) -> str | None:
        """The CLI's version under whichever name it has."""
        return self.claude_code_version or self.qwen_code_version


class Retry(Struct):
    """``system/api_retry``: the model's service refused, and the CLI tries again."""

    error_status: int | None = None
    error: str | None = None


class Block(Struct):
    """One piece of a message: text, a tool_use with its id, or a tool_result with the tool_use's."""

    type: str = ""
    text: str | None = None
    id: str | None = None
    name: str | None = None
    #: As the CLI wrote it: it is shown and compared, never read.
    input: Raw = Raw()
    tool_use_id: str | None = None


class Message(Struct):
    """What was said; of a user mostly the results of tools."""

    content: str | list[Block] = ""
    model: str | None = None

    @property
    def blocks(self) -> list[Block]:
        """The message's pieces; none where it is plain text."""
        return [] if isinstance(self.content, str) else self.content

    @property
    def text(self) -> str:
        """The message's text blocks, one per line."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(block.text for block in self.content if block.type == "text" and block.text)


class Said(Struct):
    """An assistant or user record."""

    message: Message
    parent_tool_use_id: str | None = None
    error: str | None = None


class Delta(Struct):
    """A piece of text of a message in writing."""

    text: str = ""


class Event(Struct):
    """One event of the model's own stream."""

    delta: Delta = msgspec.field(default_factory=Delta)


class StreamEvent(Struct):
    """``stream_event``, written with ``--include-partial-messages``."""

    event: Event
    parent_tool_use_id: str | None = None


class LimitInfo(Struct, rename={"resets_at": "resetsAt"}):
    """``allowed``, ``allowed_warning`` or ``rejected``, and when the allowance is full again."""

    status: str = ""
    #: Seconds since 1970.
    resets_at: float | None = None


class RateLimit(Struct):
    """``rate_limit_event``: what is left of a subscription's allowance."""

    rate_limit_info: LimitInfo


class TokenCounts(Struct):
    """``usage`` of a result."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class Result(Struct):
    """``result``, the last word of a run."""

    subtype: str = ""
    #: A result that does not say so is no proof.
    is_error: bool | None = None
    api_error_status: int | None = None
    result: str | None = None
    errors: list[str] | None = None
    terminal_reason: str | None = None
    total_cost_usd: float | None = None
    usage: TokenCounts | None = None

    @property
    def is_success(self) -> bool:
        """The dialect's proof of success."""
        return self.subtype == "success" and self.is_error is False

    @property
    def text(self) -> str:
        """What an error result says."""
        return "; ".join(self.errors or ()) or self.result or ""
