"""What an agent does in one turn, as its updates tell: text, tool calls, money."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
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

from kokino.agents.drivers.text import StreamedText, one_line
from kokino.agents.drivers.tools import REMEMBERED, SHOWN, ToolCalls

#: A call is over with one of these.
ENDED = frozenset({"completed", "failed"})
#: What a call is shown as that has not said its title.
UNTITLED = "a tool"
#: The only currency that costs are kept in.
CURRENCY = "USD"
#: A call's input is kept whole up to this length, in bytes: a tool that writes files has them in its input.
INPUT_LIMIT = 4 * SHOWN


@dataclass(frozen=True, slots=True)
class Call:
    """What one message tells of a tool call, cut to what is worth keeping."""

    id: str
    #: None where it is not told (again).
    title: str | None
    #: In one spelling, to be shown and compared; None as above.
    input: bytes | None
    is_over: bool


def told(call: ToolCall | ToolCallUpdate) -> Call:
    """A call in our words."""
    return Call(
        id=call.tool_call_id,
        title=one_line(call.title, limit=SHOWN) if call.title else None,
        input=None if call.raw_input is None else _bytes(call.raw_input),
        is_over=call.status in ENDED,
    )


class Turn:
    """Takes the updates of one session; only those since `begin` are this turn's."""

    def __init__(self, tools: ToolCalls, text: StreamedText) -> None:
        self._tools = tools
        self._text = text
        self._has_begun = False
        self._message_id: str | None = None
        #: Title and input of the latest calls, as they were last told.
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
            self.call(told(update))

    def call(self, call: Call) -> None:
        """A tool call begins, goes on or ends. Agents differ in which of these they tell."""
        title, input = known = self._calls.get(call.id, (UNTITLED, b""))
        now = (call.title or title, input if call.input is None else call.input)
        if call.id not in self._calls:
            self._tools.begin(call.id, *now)
        elif now != known:
            self._tools.amend(call.id, *now)
        self._calls[call.id] = now
        if len(self._calls) > REMEMBERED:
            del self._calls[next(iter(self._calls))]
        if call.is_over:
            self.end_call(call.id)

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
    """A call's input in one spelling; of a long one its beginning, and what tells it from others."""
    whole = json.dumps(input, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    if len(whole) <= INPUT_LIMIT:
        return whole
    return whole[:INPUT_LIMIT] + sha256(whole).digest()
