"""Conversations and turns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """Who said it."""

    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One thing that was said."""

    turn_id: str
    conversation_id: str
    #: Its place in the conversation, from 1.
    number: int
    execution_id: str | None
    role: Role
    content: str
    said_at: datetime
