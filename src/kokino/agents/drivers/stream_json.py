"""Reads the stream-json dialect: one JSON record per line, as Claude Code and its likes write it.

The order of a good run: ``system/init``, then ``assistant`` and ``user`` (tool results), at last ``result``.
The proof of success is a result record of subtype success with ``is_error: false``, and no exit code of the
CLI's own that contradicts it. Everything else that comes along is read where it helps and passed over where
it does not: unknown records, garbage, halves of lines, broken UTF-8.
"""

from __future__ import annotations

from kokino.agents.drivers import stream_failures
from kokino.agents.drivers.contract import Exit, Outcome, Usage
from kokino.agents.drivers.stream_records import (
    Envelope,
    Init,
    Message,
    RateLimit,
    Result,
    Retry,
    Said,
    StreamEvent,
    TokenCounts,
    decode,
)
from kokino.agents.failures import FailureKind

#: Streamed text and answers are kept up to so many characters: a flood must not fill the broker's memory.
CONTENT_LIMIT = 4 * 1024 * 1024
#: An error text is one line for a person.
ERROR_LIMIT = 500
#: The model's name on a message that the CLI wrote itself, to tell an error.
SYNTHETIC = "<synthetic>"
#: Records of the dialect that say nothing we use. What is neither here nor taken is counted as unknown.
PASSED_OVER = frozenset({
    "system/compact_boundary",
    "system/status",
    "system/task_notification",
    "system/task_started",
})  # fmt: skip


class StreamJsonReader:
    """Follows one execution's output in the stream-json dialect; see `contract.Reader`."""

    def __init__(self) -> None:
        self.session_id: str | None = None
        self.version: str | None = None
        self.is_final = False
        self.tool_running = False
        self.early_kind: FailureKind | None = None
        self.unknown_records = 0
        #: Lines of standard output that held no record.
        self.garbage_lines = 0
        self._text = _StreamedText()
        self._tools: set[str] = set()
        self._result: Result | None = None
        self._error_word: str | None = None
        self._retried = ""
        self._stderr = ""
        self._sentence: stream_failures.Sentence | None = None
        #: What reads each record that says something; each returns whether it understood the line.
        self._takes = {
            "system/init": self._take_init,
            "system/api_retry": self._take_retry,
            "assistant": self._take_assistant,
            "user": self._take_user,
            "stream_event": self._take_stream_event,
            "rate_limit_event": self._take_rate_limit,
            "result": self._take_result,
        }

    def stdout(self, line: bytes) -> None:
        """Take one line of standard output, without its newline."""
        if not line.strip():
            return
        envelope = decode(line, Envelope)
        if envelope is None:
            self.garbage_lines += 1
            return
        self.session_id = envelope.session_id or self.session_id
        name = f"system/{envelope.subtype}" if envelope.type == "system" else envelope.type
        take = self._takes.get(name)
        is_understood = take(line) if take else name in PASSED_OVER
        self.unknown_records += not is_understood

    def stderr(self, line: bytes) -> None:
        """Take one line of standard error, without its newline."""
        text = line[: 4 * ERROR_LIMIT].decode("utf-8", "replace").strip()
        if not text or self._sentence:
            return
        # The first known sentence is the reason; until one comes, the last line is the best guess.
        self._sentence = stream_failures.sentence_in(text)
        self._stderr = text

    def outcome(self, exit: Exit) -> Outcome:
        """Judge the whole, once the tree is gone."""
        if self._result and self._result.is_success and not stream_failures.takes_result_back(exit):
            return self._outcome(None, None)
        reason = self._reason()
        is_alive = not (reason and reason.ends_session)
        return self._outcome(self._kind(exit, reason), self._error(exit), is_alive=is_alive)

    def _take_init(self, line: bytes) -> bool:
        record = decode(line, Init)
        if record:
            self.version = record.claude_code_version or self.version
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
        return record is not None

    def _take_assistant(self, line: bytes) -> bool:
        record = decode(line, Said)
        if record is None:
            return False
        if record.message.model == SYNTHETIC:
            # The CLI speaks here, not the model: the text tells the error and comes again in the result.
            self._error_word = record.error
            return True
        self.early_kind = None
        self._open_tools(record.message)
        if record.parent_tool_use_id is None:
            self._text.message(record.message.text)
        return True

    def _take_user(self, line: bytes) -> bool:
        record = decode(line, Said)
        if record:
            self._tools -= {block.tool_use_id for block in record.message.blocks if block.tool_use_id}
            self.tool_running = bool(self._tools)
        return record is not None

    def _take_stream_event(self, line: bytes) -> bool:
        record = decode(line, StreamEvent)
        if record and record.parent_tool_use_id is None:
            self._text.piece(record.event.delta.text)
        return record is not None

    def _take_result(self, line: bytes) -> bool:
        record = decode(line, Result)
        if record is None:
            return False
        self._result = record
        self.is_final = True
        self._tools.clear()
        self.tool_running = False
        return True

    def _open_tools(self, message: Message) -> None:
        self._tools |= {block.id for block in message.blocks if block.type == "tool_use" and block.id}
        self.tool_running = bool(self._tools)

    def _reason(self) -> stream_failures.Sentence | None:
        """The known sentence that tells the failure: the result's own, or where there is none stderr's.

        Beside a result, standard error may be about anything, a tool's trouble for example.
        """
        if self._result and not self._result.is_success:
            return stream_failures.sentence_in(self._result.text)
        return self._sentence

    def _kind(self, exit: Exit, reason: stream_failures.Sentence | None) -> FailureKind:
        if reason:
            return reason.kind
        if self._result is None or self._result.is_success:
            return self.early_kind or stream_failures.kind_of_exit(exit)
        words = (self._result.subtype, self._result.terminal_reason, self._error_word)
        return (
            stream_failures.kind_of_status(self._result.api_error_status)
            or stream_failures.kind_of_words(words)
            or self.early_kind
            or FailureKind.UNKNOWN
        )

    def _error(self, exit: Exit) -> str:
        ended = stream_failures.describe(exit)
        if self._result and self._result.is_success:
            return f"{ended} after a successful result"
        if self._result:
            return one_line(self._result.text or f"a result of subtype {self._result.subtype!r}")
        return one_line(self._stderr or f"{ended} without a result record{self._circumstances()}")

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
            content=(answer or self._text.so_far())[:CONTENT_LIMIT],
            usage=usage_of(result.usage) if result and result.usage else None,
            cost_usd=result.total_cost_usd if result else None,
            session_is_alive=is_alive,
        )


class _StreamedText:
    """What the model has said so far, up to the limit."""

    def __init__(self) -> None:
        self._messages: list[str] = []
        self._pieces: list[str] = []
        #: Characters kept; messages and pieces of one are counted alike, so the bound is not exact.
        self._length = 0

    def piece(self, text: str) -> None:
        """Take a part of a message that is still being written."""
        self._keep(self._pieces, text)

    def message(self, text: str) -> None:
        """Take a whole message, in place of the pieces that foretold it."""
        self._length -= sum(map(len, self._pieces))
        self._pieces.clear()
        self._keep(self._messages, text)

    def so_far(self) -> str:
        """All of it, the message in writing last."""
        return "\n".join(filter(None, [*self._messages, "".join(self._pieces)]))

    def _keep(self, kept: list[str], text: str) -> None:
        if text and self._length < CONTENT_LIMIT:
            kept.append(text[:CONTENT_LIMIT])
            self._length += len(kept[-1])


def usage_of(usage: TokenCounts) -> Usage:
    """The dialect's token counts in our words."""
    return Usage(
        input_tokens=usage.input_tokens or 0,
        output_tokens=usage.output_tokens or 0,
        cache_read_tokens=usage.cache_read_input_tokens or 0,
        cache_write_tokens=usage.cache_creation_input_tokens or 0,
    )


def one_line(text: str) -> str:
    """An error text with its white space squeezed and its length bounded."""
    squeezed = " ".join(text[: 8 * ERROR_LIMIT].split())
    return squeezed if len(squeezed) <= ERROR_LIMIT else squeezed[: ERROR_LIMIT - 1] + "…"
