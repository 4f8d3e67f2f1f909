"""What an agent does in one turn, as its updates tell: text, tool calls, money."""

from __future__ import annotations

import json
from typing import Any

from acp.schema import (
    AgentMessageChunk,
    SessionNotification,
    TextContentBlock,
    ToolCall,
    ToolCallUpdate,
    UsageUpdate,
)
from pydantic import BaseModel

from kokino.agents.drivers.text import StreamedText
from kokino.agents.drivers.tools import ToolCalls

#: A call is over with one of these.
ENDED = frozenset({"completed", "failed"})
#: What a call is shown as that has not said its title.
UNTITLED = "a tool"
#: The only currency that costs are kept in.
CURRENCY = "USD"


class Turn:
    """Takes the updates of one session; only those since `begin` are this turn's."""

    def __init__(self, tools: ToolCalls, text: StreamedText) -> None:
        self._tools = tools
        self._text = text
        self._has_begun = False
        self._message_id: str | None = None
        #: Title and input of each call so far, as it was last told.
        self._calls: dict[str, tuple[str, bytes]] = {}
        #: Dollars that the session has cost so far; None where the agent tells no costs.
        self.session_cost_usd: float | None = None

    def begin(self) -> None:
        """The session's history is over, and the turn begins."""
        self._has_begun = True

    def take(self, notification: SessionNotification) -> None:
        """One update; those of kinds that say nothing we use are passed over."""
        update: BaseModel = notification.update
        if not self._has_begun:
            return
        if isinstance(update, UsageUpdate):
            self._take_cost(update)
        elif isinstance(update, AgentMessageChunk):
            self._take_text(update)
        elif isinstance(update, ToolCall | ToolCallUpdate):
            self._text.end_message()
            self.call(update)

    def call(self, call: ToolCall | ToolCallUpdate) -> None:
        """A tool call begins, goes on or ends. Agents differ in which of these they tell."""
        id = call.tool_call_id
        title, input = self._calls.get(id, (UNTITLED, b""))
        told = (call.title or title, _bytes(call.raw_input) if call.raw_input is not None else input)
        if id not in self._calls:
            self._tools.begin(id, *told)
        elif told != (title, input):
            self._tools.amend(id, *told)
        self._calls[id] = told
        if call.status in ENDED:
            self.end_call(id)

    def end_call(self, id: str) -> None:
        """A call is over, or was refused. It is remembered as known, but no longer by its input."""
        self._tools.end(id)
        if id in self._calls:
            self._calls[id] = (self._calls[id][0], b"")

    def _take_text(self, chunk: AgentMessageChunk) -> None:
        if chunk.message_id is not None and self._message_id not in {None, chunk.message_id}:
            self._text.end_message()
        self._message_id = chunk.message_id or self._message_id
        if isinstance(chunk.content, TextContentBlock):
            self._text.piece(chunk.content.text)

    def _take_cost(self, update: UsageUpdate) -> None:
        if update.cost is not None and update.cost.currency == CURRENCY:
            self.session_cost_usd = update.cost.amount


def _bytes(input: Any) -> bytes:
    """A call's input in one spelling, to be shown and compared."""
    return json.dumps(input, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
