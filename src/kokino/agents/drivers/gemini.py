"""Gemini CLI, headless: ``gemini --output-format stream-json``.

The order of a good run: ``init``, the prompt as a ``message``, the answer as messages in pieces, ``tool_use``
and ``tool_result``, at last ``result``. The proof of success is a result of status success with an answer
and no ``error`` record before it: having hit a limit of its own it tells of an error, and of success all the
same; and where prompt and conversation no longer fit the model, of success and nothing else. Retries are told
on standard error alone; they may go on for minutes, or for as long as a quota takes to reset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kokino.agents.drivers.contract import Command, Exit, Invocation, Outcome, Reader, Usage
from kokino.agents.drivers.gemini_failures import (
    CHATTER,
    REFUSAL,
    RETRY,
    SENTENCES,
    kind_of_end,
    kind_of_text,
)
from kokino.agents.drivers.gemini_records import Init, Message, Result, Stats, ToolResult, ToolUse, Trouble
from kokino.agents.drivers.needs import InFile, InVariable, Needs
from kokino.agents.drivers.record_reader import RecordReader, Take, decode, decode_fields
from kokino.agents.drivers.signs import describe, sentence_in, takes_result_back
from kokino.agents.drivers.spellings import has_letter, has_option, says
from kokino.agents.drivers.text import CONTENT_LIMIT, ERROR_LIMIT, StreamedText, one_line, uncoloured
from kokino.agents.failures import FailureKind


class Gemini:
    """Drives Gemini CLI 0.61. Flags that skip permissions are used only where somebody configured them.

    So is the trust in a folder, without which it refuses to work there: a trusted folder's own settings may
    start programs. ``--skip-trust`` or ``GEMINI_CLI_TRUST_WORKSPACE=true`` give it.
    """

    name = "gemini"
    default_command: tuple[str, ...] = ("gemini",)
    needs = Needs(
        package="@google/gemini-cli",
        oldest="0.61.0",
        logins=(
            InVariable("GEMINI_API_KEY"),
            InVariable("GOOGLE_API_KEY"),
            InVariable("GOOGLE_GENAI_USE_VERTEXAI"),
            InVariable("GOOGLE_GENAI_USE_GCA"),
            InFile(
                path=".gemini/oauth_creds.json",
                moved_by="GEMINI_CLI_HOME",
                expiry="expiry_date",
                renewal="refresh_token",
            ),
            InFile(path=".gemini/gemini-credentials.json", moved_by="GEMINI_CLI_HOME"),
            InFile(path=".gemini/.env", moved_by="GEMINI_CLI_HOME"),
        ),
        login_command="gemini",
        variable="GEMINI_CLI_TRUST_WORKSPACE",
        instead=("--skip-trust",),
        without="it exits with 55 in every folder that nobody has trusted",
    )

    def command(self, invocation: Invocation) -> Command:
        """A ``gemini`` that reads its prompt from standard input.

        Otherwise it would start itself anew as a child with a larger heap, take twice the time and memory
        for it, and not pass a SIGTERM on.
        """
        session = "--resume" if invocation.is_resume else "--session-id"
        model = ("--model", invocation.model) if invocation.model else ()
        return Command(
            argv=(
                *invocation.command,
                *("--output-format", "stream-json"),
                *(session, invocation.session_id),
                *model,
                *invocation.flags,
            ),
            stdin=invocation.prompt_file,
            env={"GEMINI_CLI_NO_RELAUNCH": "1"},
        )

    def reader(self, resumes: str | None = None) -> Reader:
        """A fresh reader of its records."""
        return GeminiReader(resumes)

    def skips_permissions(self, flags: Sequence[str]) -> bool:
        """``--yolo`` by whatever name, and a file of policies, which may allow all."""
        return says(flags, "yolo") or has_letter(flags, "y") or has_option(flags, {"policy", "adminpolicy"})


class GeminiReader(RecordReader):
    """Follows one execution's output; see `contract.Reader`."""

    SENTENCES = (*SENTENCES, REFUSAL)
    OPENING = re.compile(r"Error |\[API Error|Attempt \d+ failed")

    def __init__(self, resumes: str | None = None) -> None:
        super().__init__(resumes)
        self._result: Result | None = None
        #: What the model said since the last tool: the answer, once the run is done.
        self._answer = StreamedText()
        self._has_answered = False
        #: The error that it told of, though it may call the whole a success.
        self._trouble = ""
        #: What a hook has refused.
        self._warning = ""
        self._retried = ""

    def takes(self) -> Mapping[str, Take]:
        """One reader for each record."""
        return {
            "init": self._take_init,
            "message": self._take_message,
            "tool_use": self._take_tool_use,
            "tool_result": self._take_tool_result,
            "error": self._take_error,
            "result": self._take_result,
        }

    def stderr(self, line: bytes) -> None:
        """Take one line of standard error, unless it is chatter; a retry tells what is wrong for now."""
        text = uncoloured(line[: 4 * ERROR_LIMIT].decode("utf-8", "replace"))
        if RETRY.search(text):
            self._retried = text
            if not self.has_just_answered:
                self.early_kind = kind_of_text(text) or self.early_kind or FailureKind.NETWORK
        elif not CHATTER.match(text):
            super().stderr(line)

    def outcome(self, exit: Exit) -> Outcome:
        """Judge the whole, once the tree is gone."""
        if self._is_success and not takes_result_back(exit):
            return self.unless_cut(self._outcome(None, None, is_alive=self._is_alive(exit)))
        return self._outcome(self._kind(exit), self._error(exit), is_alive=self._is_alive(exit))

    @property
    def _is_success(self) -> bool:
        return self._calls_itself_success and bool(self._answer.so_far())

    @property
    def _calls_itself_success(self) -> bool:
        return self._result is not None and self._result.status == "success" and not self._trouble

    @property
    def _is_overflow(self) -> bool:
        """True where it asked no model, having counted that the prompt does not fit: it says nothing else."""
        stats = self._result.stats if self._result else None
        is_unasked = stats is not None and stats.total_tokens == 0
        return self._calls_itself_success and is_unasked and not (self._has_answered or self._warning)

    def _is_alive(self, exit: Exit) -> bool:
        """False where the session is unknown, or never got an answer.

        Such a one is written down all the same: seen in 0.61.0, it can neither be begun again nor resumed.
        """
        reason = self.reason(exit)
        is_refused = self._result is None and reason is not None and reason.ends_session
        is_stillborn = self.resumes is None and self.session_id is not None and not self._has_answered
        return not (is_refused or (is_stillborn and not self._is_success))

    def _take_init(self, line: bytes) -> bool:
        record = decode(line, Init)
        if record:
            self.session_id = record.session_id
        return record is not None

    def _take_message(self, line: bytes) -> bool:
        record = decode(line, Message)
        if record and record.role == "assistant":
            self._goes_on()
            self.text.piece(record.content)
            self._answer.piece(record.content)
        return record is not None

    def _take_tool_use(self, line: bytes) -> bool:
        record = decode(line, ToolUse)
        if record:
            self._goes_on()
            self.text.end_message()
            self._answer = StreamedText()
            self.tools.begin(record.tool_id, record.tool_name, bytes(record.parameters))
        return record is not None

    def _take_tool_result(self, line: bytes) -> bool:
        record = decode(line, ToolResult)
        if record:
            self.tools.end(record.tool_id)
        return record is not None

    def _take_error(self, line: bytes) -> bool:
        record = decode(line, Trouble)
        # A warning tells of what a hook refused, and the run goes on; but not so where it has a name.
        if record:
            self._warning = record.message
        if record and (record.severity == "error" or sentence_in(record.message, SENTENCES)):
            self._trouble = record.message or "an error, and Gemini CLI does not say which"
        return record is not None

    def _take_result(self, line: bytes) -> bool:
        record = decode_fields(line, Result)
        if record is None:
            return False
        self._result = record
        self.end_words()
        return True

    def _goes_on(self) -> None:
        """The model answers."""
        self._has_answered = True
        self.goes_on()

    @property
    def _told(self) -> str:
        """What the records say of the failure."""
        return (self._result and self._result.error and self._result.error.message) or self._trouble

    def _kind(self, exit: Exit) -> FailureKind:
        if self._result is None:
            reason = self.reason(exit)
            return (reason and reason.kind) or self.early_kind or kind_of_end(exit)
        if self._is_overflow:
            return FailureKind.CONTEXT_LENGTH
        # 1 is what it exits with where it does not know better, and 0 where only its records tell.
        by_exit = kind_of_end(exit) if self._calls_itself_success or exit.code not in {None, 0, 1} else None
        return kind_of_text(self._told) or by_exit or self.early_kind or FailureKind.UNKNOWN

    def _error(self, exit: Exit) -> str:
        ended = describe(exit)
        if self._is_success:
            return f"{ended} after a successful result"
        if self._is_overflow:
            return "the prompt, with the conversation before it, does not fit the model: it was not sent"
        if self._calls_itself_success:
            return one_line(f"a successful result without an answer{self._warning and f': {self._warning}'}")
        if self._result:
            return one_line(self._told or f"a result of status {self._result.status!r}")
        retried = f"; the last it told of: {self._retried}" if self.early_kind else ""
        return one_line(self.last_words or f"{ended} without a result record{retried}")

    def _outcome(self, kind: FailureKind | None, error: str | None, *, is_alive: bool) -> Outcome:
        answer = self._answer.so_far() if kind is None else ""
        stats = self._result.stats if self._result else None
        return Outcome(
            kind=kind,
            error=error,
            content=(answer or self.text.so_far())[:CONTENT_LIMIT],
            usage=usage_of(stats) if stats else None,
            session_is_alive=is_alive,
        )


def usage_of(stats: Stats) -> Usage:
    """The CLI's token counts in our words: thoughts are paid as output."""
    return Usage(
        input_tokens=max(0, stats.input_tokens - stats.cached),
        output_tokens=max(stats.output_tokens, stats.total_tokens - stats.input_tokens),
        cache_read_tokens=stats.cached,
    )
