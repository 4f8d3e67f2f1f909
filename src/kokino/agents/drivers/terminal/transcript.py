"""Reads the file that Claude Code keeps of a session: one JSON record per line, as they come.

The order of a turn: ``user`` with the prompt, then ``assistant`` and ``user`` (tool results), each piece of a
message in a record of its own; ``system/turn_duration`` ends it. There is no result record: one is made of
what was said, so that both ways of running Claude Code are judged alike.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from kokino.agents.drivers.contract import Usage
from kokino.agents.drivers.record_reader import Take, decode
from kokino.agents.drivers.signs import Sentence
from kokino.agents.drivers.stream_failures import SENTENCES
from kokino.agents.drivers.stream_json import SYNTHETIC, StreamJsonReader
from kokino.agents.drivers.stream_records import Message, Result, TokenCounts
from kokino.agents.failures import FailureKind

#: How it notes that somebody has stopped it.
INTERRUPTED = "[Request interrupted by user"


class Spoken(Message):
    """A message, of which a record holds a piece."""

    id: str | None = None
    usage: TokenCounts | None = None


class Entry(Struct, rename="camel"):
    """An assistant or user record."""

    message: Spoken
    #: It belongs to a helper's own conversation.
    is_sidechain: bool = False
    is_api_error_message: bool = False
    api_error_status: int | None = None
    error: str | None = None


class Anything(Struct, rename="camel"):
    """What every record has."""

    session_id: str | None = None
    version: str | None = None


class TranscriptReader(StreamJsonReader):
    """Follows one turn in a session's file; see `contract.Reader`."""

    SENTENCES = (
        Sentence(text=r"request interrupted by user", kind=FailureKind.CANCELLED),
        *SENTENCES,
    )
    PASSED_OVER = frozenset({
        "agent-name", "ai-title", "attachment", "custom-title", "file-history-snapshot", "last-prompt",
        "mode", "permission-mode", "pr-link", "progress", "queue-operation", "summary", "tag",
        "system/api_error", "system/away_summary", "system/compact_boundary", "system/informational",
        "system/local_command", "system/stop_hook_summary",
    })  # fmt: skip

    def __init__(self, resumes: str | None = None) -> None:
        super().__init__(resumes)
        #: The message that was begun last, and its text so far.
        self._message_id: str | None = None
        self._last: list[str] = []
        self._failed: Entry | None = None
        #: The prompt stands in the file.
        self._has_prompt = False
        #: By message: each of its records tells the same figures, or later ones.
        self._counts: dict[str, Usage] = {}

    def takes(self) -> Mapping[str, Take]:
        """What tells something."""
        return {
            "assistant": self._take_entry,
            "user": self._take_user_entry,
            "system/turn_duration": self._take_end,
        }

    def stdout(self, line: bytes) -> None:
        """Take one line; whatever record it is, it may name session and version."""
        super().stdout(line)
        named = decode(line, Anything) if b'"sessionId"' in line else None
        if named is not None:
            self.session_id = named.session_id or self.session_id
            self.version = named.version or self.version

    def _take_entry(self, line: bytes) -> bool:
        entry = decode(line, Entry)
        if entry is None:
            return False
        if entry.is_api_error_message or entry.message.model == SYNTHETIC:
            self._failed, self._error_word = entry, entry.error
            return True
        self.goes_on()
        self._failed = None
        self._open_tools(entry.message)
        self._count(entry.message)
        if not entry.is_sidechain:
            self._hear(entry.message)
        return True

    def _hear(self, message: Spoken) -> None:
        if message.id != self._message_id or message.id is None:
            self._message_id, self._last = message.id, []
        if message.text:
            self._last.append(message.text)
            self.text.message(message.text)

    def _count(self, message: Spoken) -> None:
        if message.usage is not None:
            self._counts[message.id or f"({len(self._counts)})"] = self.usage_of(message.usage)

    def _take_user_entry(self, line: bytes) -> bool:
        entry = decode(line, Entry)
        if entry is None:
            return False
        for block in entry.message.blocks:
            if block.tool_use_id:
                self.tools.end(block.tool_use_id)
        if entry.is_sidechain:
            return True
        # The first is the prompt, which may say anything.
        if self._has_prompt and entry.message.text.startswith(INTERRUPTED):
            self._end(Result(subtype="error_during_execution", is_error=True, errors=[entry.message.text]))
        self._has_prompt = True
        return True

    def settle(self) -> None:
        """A version that does not tell a turn's end has said all; see `contract.Settling`."""
        if self.is_final or self.tools.running is not None:
            return
        if self._failed is None and not self._last:
            said = "it waits for a prompt again and has said nothing"
            self._end(Result(subtype="error_during_execution", is_error=True, errors=[said]))
        else:
            self._take_end(b"")

    def _take_end(self, line: bytes) -> bool:
        failed = self._failed
        if failed is None:
            self._end(Result(subtype="success", is_error=False, result="\n".join(self._last)))
        else:
            status, text = failed.api_error_status, failed.message.text
            self._end(Result(subtype="success", is_error=True, api_error_status=status, result=text))
        return True

    def _end(self, result: Result) -> None:
        self._result = msgspec.structs.replace(result, usage=self._total())
        self.end_words()

    def _total(self) -> TokenCounts | None:
        if not self._counts:
            return None
        counts = self._counts.values()
        return TokenCounts(
            input_tokens=sum(one.input_tokens for one in counts),
            output_tokens=sum(one.output_tokens for one in counts),
            cache_read_input_tokens=sum(one.cache_read_tokens for one in counts),
            cache_creation_input_tokens=sum(one.cache_write_tokens for one in counts),
        )
