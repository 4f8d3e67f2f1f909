"""What a model server can be told to do with one request; no vendor's words here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The model says something."""

    text: str
    #: It stopped at its limit of tokens, in the middle of the sentence.
    is_cut: bool = False

    @property
    def finish(self) -> str:
        """``stop`` or ``length``, as OpenAI's Chat API has it."""
        return "length" if self.is_cut else "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """The model asks for a tool."""

    tool: str
    input: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The service refuses with an HTTP status."""

    status: int
    #: The vendor's error text; the default says where it comes from.
    message: str = "refused by the model server of the tests"
    #: The vendor's word for the error; None is the one that goes with the status.
    code: str | None = None
    #: Seconds for ``Retry-After``; None sends no such header.
    retry_after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """The connection breaks, after that many events of the answer to `text`."""

    after_events: int = 0
    text: str = "an answer that never ends"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """Nothing comes until the server is closed."""


Reply = Answer | ToolUse | Failure | Drop | Hang
