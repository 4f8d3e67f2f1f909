"""Reads the stream-json dialect: one JSON record per line, as Claude Code and its likes write it.

The order of a good run: ``system/init``, then ``assistant`` and ``user`` (tool results), at last ``result``.
The proof of success is a result record of subtype success with ``is_error: false``, and no exit code of the
CLI's own that contradicts it. Everything else that comes along is read where it helps and passed over where
it does not: unknown records, garbage, halves of lines, broken UTF-8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from kokino.agents.drivers import stream_failures
from kokino.agents.drivers.contract import Exit, Outcome, Usage
from kokino.agents.drivers.record_reader import RecordReader, Take, decode, decode_fields
from kokino.agents.drivers.signs import (
    Sentence,
    describe,
    kind_of_exit,
    kind_of_status,
    sentence_in,
    takes_result_back,
)
from kokino.agents.drivers.stream_records import (
    Init,
    Message,
    Named,
    RateLimit,
    Result,
    Retry,
    Said,
    StreamEvent,
    TokenCounts,
)
from kokino.agents.drivers.text import CONTENT_LIMIT, one_line
from kokino.agents.failures import FailureKind
from kokino.clock import from_ms

#: The model's name on a message that the CLI wrote itself, to tell an error.
SYNTHETIC = "<synthetic>"


class StreamJsonReader(RecordReader):
    """Follows one execution's output in the stream-json dialect; see `contract.Reader`."""

    SENTENCES: ClassVar[Sequence[Sentence]] = stream_failures.SENTENCES
    #: True where a result's figures count from the session's first turn on.
    COUNTS_SESSION: ClassVar[bool] = False
    PASSED_OVER = frozenset({
        "system/compact_boundary",
        "system/status",
        "system/task_notification",
        "system/task_started",
    })  # fmt: skip

    def __init__(self, resumes: str | None = None) -> None:
        super().__init__(resumes)
        self._result: Result | None = None
        self._error_word: str | None = None
        self._retried = ""
        self._resets_at: float | None = None

    def takes(self) -> Mapping[str, Take]:
        """Every record has a session's id beside what its own reader takes."""
        return {
            "system/init": self._take_init,
            "system/api_retry": self._take_retry,
            "assistant": self._take_assistant,
            "user": self._take_user,
            "stream_event": self._take_stream_event,
            "rate_limit_event": self._take_rate_limit,
            "result": self._take_result,
        }

    def stdout(self, line: bytes) -> None:
        """Take one line; whatever record it is, it may name the session."""
        super().stdout(line)
        named = decode(line, Named) if b'"session_id"' in line else None
        self.session_id = (named and named.session_id) or self.session_id

    def result_in(self, line: bytes) -> Result | None:
        """A result record as the dialect means it."""
        return decode_fields(line, Result)

    def usage_of(self, counts: TokenCounts) -> Usage:
        """The dialect's token counts in our words."""
        return Usage(
            input_tokens=counts.input_tokens or 0,
            output_tokens=counts.output_tokens or 0,
            cache_read_tokens=counts.cache_read_input_tokens or 0,
            cache_write_tokens=counts.cache_creation_input_tokens or 0,
        )

    def outcome(self, exit: Exit) -> Outcome:
        """Judge the whole, once the tree is gone."""
        if self._result and self._result.is_success and not takes_result_back(exit):
            return self._outcome(None, None)
        reason = self._reason(exit)
        is_alive = not (reason and reason.ends_session)
        return self._outcome(self._kind(exit, reason), self._error(exit), is_alive=is_alive)

    def _take_init(self, line: bytes) -> bool:
        record = decode(line, Init)
        if record:
            self.version = record.version or self.version
        return record is not None

    def _take_retry(self, line: bytes) -> bool:
        record = decode(line, Retry)
        if record:
            self.early_kind = stream_failures.kind_of_retry(record.error_status, record.error)
            self._retried = f"{record.error or 'an error'} ({record.error_status or 'no answer'})"
        return record is not None

    def _take_rate_limit(self, line: bytes) -> bool:
        record = decode(line, RateLimit)
        if record and record.rate_limit_info.status == "rejected":
            self.early_kind = FailureKind.QUOTA
            self._resets_at = record.rate_limit_info.resets_at
        return record is not None

    def _take_assistant(self, line: bytes) -> bool:
        record = decode(line, Said)
        if record is None:
            return False
        if record.message.model == SYNTHETIC:
            # The CLI speaks here, not the model: the text tells the error and comes again in the result.
            self._error_word = record.error
            return True
        self.goes_on()
        self._open_tools(record.message)
        if record.parent_tool_use_id is None:
            self.text.message(record.message.text)
        return True

    def _take_user(self, line: bytes) -> bool:
        record = decode(line, Said)
        for block in record.message.blocks if record else ():
            if block.tool_use_id:
                self.tools.end(block.tool_use_id)
        return record is not None

    def _take_stream_event(self, line: bytes) -> bool:
        record = decode(line, StreamEvent)
        if record and record.parent_tool_use_id is None:
            self.text.piece(record.event.delta.text)
        return record is not None

    def _take_result(self, line: bytes) -> bool:
        record = self.result_in(line)
        if record is None:
            return False
        self._result = record
        self.end_words()
        return True

    def _open_tools(self, message: Message) -> None:
        for block in message.blocks:
            if block.type == "tool_use" and block.id:
                self.tools.begin(block.id, block.name or "a tool", bytes(block.input))

    def _reason(self, exit: Exit) -> Sentence | None:
        """The known sentence that tells the failure: the result's own, or where there is none stderr's.

        Beside a result, standard error may be about anything, a tool's trouble for example.
        """
        if self._result and not self._result.is_success:
            return sentence_in(self._result.text, self.SENTENCES)
        return self.reason(exit)

    def _kind(self, exit: Exit, reason: Sentence | None) -> FailureKind:
        if reason:
            return reason.kind
        if self._result is None or self._result.is_success:
            return self.early_kind or kind_of_exit(exit)
        words = (self._result.subtype, self._result.terminal_reason, self._error_word)
        return (
            kind_of_status(self._result.api_error_status)
            or stream_failures.kind_of_words(words)
            or self.early_kind
            or FailureKind.UNKNOWN
        )

    def _error(self, exit: Exit) -> str:
        ended = describe(exit)
        if self._result and self._result.is_success:
            return f"{ended} after a successful result"
        if self._result:
            return one_line(self._result.text or f"a result of subtype {self._result.subtype!r}")
        return one_line(self.last_words or f"{ended} without a result record{self._circumstances()}")

    def _circumstances(self) -> str:
        """What else is known of a run that gave no result."""
        retried = f"; it was retrying after {self._retried}" if self.early_kind and self._retried else ""
        garbage = (
            f"; lines of its output that were no records: {self.garbage_lines}" if self.garbage_lines else ""
        )
        return retried + garbage

    def _outcome(self, kind: FailureKind | None, error: str | None, *, is_alive: bool = True) -> Outcome:
        result = self._result
        answer = result.result if result and result.is_success else None
        return Outcome(
            kind=kind,
            error=error,
            content=(answer or self.text.so_far())[:CONTENT_LIMIT],
            usage=self.usage_of(result.usage) if result and result.usage else None,
            cost_usd=result.total_cost_usd if result else None,
            session_is_alive=is_alive,
            counts_session=self.COUNTS_SESSION,
            resets_at=None if self._resets_at is None else _instant(self._resets_at),
        )


def _instant(seconds: float) -> datetime | None:
    try:
        return from_ms(int(seconds * 1000))
    except (OverflowError, ValueError):
        return None
