"""Factory's Droid, headless: ``droid exec --output-format stream-json``.

The order of a good run: ``system/init``, messages, ``tool_call`` and ``tool_result``, at last
``completion``, the proof of success. When it gives up, an ``error`` of the source ``agent_loop`` tells the
reason, and one of the source ``cli`` ends the run, mostly with no more than "Exec failed". It tells nothing
while it tries again: minutes, where the model's service is down.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kokino.agents.drivers.contract import Command, Exit, Invocation, Outcome, Reader, Usage
from kokino.agents.drivers.factory_droid_records import (
    Completion,
    Init,
    Message,
    TokenCounts,
    ToolCall,
    ToolResult,
    Trouble,
)
from kokino.agents.drivers.needs import InFile, InVariable, Needs
from kokino.agents.drivers.record_reader import RecordReader, Take, decode, decode_fields
from kokino.agents.drivers.signs import (
    Sentence,
    describe,
    kind_in,
    kind_of_exit,
    takes_result_back,
)
from kokino.agents.drivers.spellings import has_option, says
from kokino.agents.drivers.text import CONTENT_LIMIT, one_line
from kokino.agents.failures import FailureKind

#: First match wins. They come before statuses: a 400 may be an empty purse or a full context.
#: Sources: recorded runs of Droid 0.215.0 (``tests/samples/factory-droid``), and what the services of the
#: models say, which it passes on.
SENTENCES = (
    Sentence(text="authentication failed", kind=FailureKind.AUTH),
    Sentence(text="invalid api key|incorrect api key", kind=FailureKind.AUTH),
    Sentence(text="insufficient permission to proceed", kind=FailureKind.PERMISSION),
    Sentence(text="credit balance|usage limit|exceeded your current quota", kind=FailureKind.QUOTA),
    Sentence(text="overloaded", kind=FailureKind.RATE_LIMIT),
    Sentence(text="prompt is too long|context length|context window", kind=FailureKind.CONTEXT_LENGTH),
    Sentence(text="connection error|request timed out", kind=FailureKind.NETWORK),
    # Wrong flags and models: the line that names them comes first, what would be right after it.
    Sentence(text="^error: |^invalid model", kind=FailureKind.CRASH),
)
#: The last word of a run that failed, where it does not know better.
SAYS_NOTHING = "Exec failed"
_STATUS = re.compile(r"^(\d{3}) ")


class FactoryDroid:
    """Drives Droid 0.215. Flags that skip permissions are used only where somebody configured them."""

    name = "factory-droid"
    default_command: tuple[str, ...] = ("droid",)
    needs = Needs(
        package="droid",
        oldest="0.215.0",
        logins=(
            InVariable("FACTORY_API_KEY"),
            InFile(path=".factory/auth.v2.file", moved_by="FACTORY_HOME_OVERRIDE"),
            InFile(path=".factory/auth.json", moved_by="FACTORY_HOME_OVERRIDE"),
            # A model of one's own has its own key, and no login is asked for.
            InFile(path=".factory/settings.json", moved_by="FACTORY_HOME_OVERRIDE", key=("customModels",)),
        ),
        login_command="droid",
    )

    def command(self, invocation: Invocation) -> Command:
        """A ``droid exec`` that reads its prompt from standard input; it names its sessions itself."""
        session = ("--session-id", invocation.session_id) if invocation.is_resume else ()
        model = ("--model", invocation.model) if invocation.model else ()
        return Command(
            argv=(
                *invocation.command,
                "exec",
                *("--output-format", "stream-json"),
                *session,
                *model,
                *invocation.flags,
            ),
            stdin=invocation.prompt_file,
            env={"FACTORY_DROID_AUTO_UPDATE_ENABLED": "false"},
        )

    def reader(self, resumes: str | None = None) -> Reader:
        """A fresh reader of its records."""
        return DroidReader(resumes)

    def skips_permissions(self, flags: Sequence[str]) -> bool:
        """``--skip-permissions-unsafe``, or a file that may say so; every ``--auto`` refuses something."""
        return says(flags, "skippermissions") or has_option(flags, {"settings"})


class DroidReader(RecordReader):
    """Follows one execution's output; see `contract.Reader`."""

    SENTENCES = SENTENCES

    def __init__(self, resumes: str | None = None) -> None:
        super().__init__(resumes)
        self._completed: Completion | None = None
        #: Why it fails, as far as it tells.
        self._trouble = ""
        #: The assistant's messages of this run.
        self._said: set[str] = set()

    def takes(self) -> Mapping[str, Take]:
        """One reader for each record."""
        return {
            "system/init": self._take_init,
            "message": self._take_message,
            "tool_call": self._take_tool_call,
            "tool_result": self._take_tool_result,
            "error": self._take_error,
            "completion": self._take_completion,
        }

    def outcome(self, exit: Exit) -> Outcome:
        """Judge the whole, once the tree is gone."""
        if self._completed is None or takes_result_back(exit):
            return self._outcome(self._kind(exit), self._error(exit))
        if self._is_astray:
            unknown = f"Droid began session {self.resumes} anew instead of going on with it"
            return self._outcome(FailureKind.PROTOCOL, unknown)
        return self._outcome(None, None)

    @property
    def _is_astray(self) -> bool:
        """True where it knows nothing of the session that it was to go on with.

        It takes the unknown name for a new session's, and says so only by counting no message but this run's.
        """
        turns = self._completed.turns if self._completed else None
        return self.resumes is not None and turns is not None and turns <= len(self._said)

    @property
    def _is_alive(self) -> bool:
        """False where the session is none, or has no answer yet by which it could be known again."""
        is_stillborn = self.resumes is None and self.session_id is not None and not self._said
        return not (self._is_astray or (is_stillborn and self._completed is None))

    def _take_init(self, line: bytes) -> bool:
        record = decode(line, Init)
        if record:
            self.session_id = record.session_id
        return record is not None

    def _take_message(self, line: bytes) -> bool:
        record = decode(line, Message)
        if record and record.role == "assistant":
            self._goes_on(record.id)
            self.text.message(record.text)
        return record is not None

    def _take_tool_call(self, line: bytes) -> bool:
        record = decode(line, ToolCall)
        if record:
            self._goes_on(record.message_id)
            self.tools.begin(record.id, record.tool_name, bytes(record.parameters))
        return record is not None

    def _take_tool_result(self, line: bytes) -> bool:
        record = decode(line, ToolResult)
        if record:
            self.tools.end(record.id)
        return record is not None

    def _take_error(self, line: bytes) -> bool:
        record = decode(line, Trouble)
        if record is None:
            return False
        if record.message != SAYS_NOTHING:
            self._trouble = record.message
            self.early_kind = kind_of_text(record.message) or self.early_kind
        if record.source == "cli":
            self.end_words()
        return True

    def _take_completion(self, line: bytes) -> bool:
        # That it came is the proof, whatever a later version makes of its fields.
        self._completed = decode_fields(line, Completion) or Completion()
        self.end_words()
        return True

    def _goes_on(self, message_id: str) -> None:
        """The model has answered after all."""
        self._said.add(message_id)
        self.goes_on()
        self._trouble = ""

    @property
    def _is_mute(self) -> bool:
        """True where it was to go on with a session and ended without a word.

        So does one that cannot reach its vendor, whom it asks for every session that it goes on with.
        """
        return self.resumes is not None and self.session_id is None and not self.last_words

    def _kind(self, exit: Exit) -> FailureKind:
        if self._completed:
            return kind_of_exit(exit)
        if self._trouble:
            return self.early_kind or FailureKind.UNKNOWN
        if self._is_mute and exit.code == 1:
            return FailureKind.NETWORK
        if self.is_final:
            return FailureKind.UNKNOWN
        reason = self.reason(exit)
        return reason.kind if reason else kind_of_exit(exit)

    def _error(self, exit: Exit) -> str:
        if self._completed:
            return f"{describe(exit)} after its completion"
        mute = " and no word: it cannot go on with a session where it does not reach Factory's API"
        ended = f"{describe(exit)} without a completion{mute if self._is_mute and exit.code == 1 else ''}"
        nothing = f"{SAYS_NOTHING}, and Droid does not say why" if self.is_final else ""
        return one_line(self._trouble or nothing or self.last_words or ended)

    def _outcome(self, kind: FailureKind | None, error: str | None) -> Outcome:
        done = self._completed
        answer = done.final_text if done and kind is None else ""
        return Outcome(
            kind=kind,
            error=error,
            content=(answer or self.text.so_far())[:CONTENT_LIMIT],
            usage=usage_of(done.usage) if done and done.usage else None,
            session_is_alive=self._is_alive,
            counts_session=True,
        )


def kind_of_text(text: str) -> FailureKind | None:
    """What an error's text means: a known sentence, else the HTTP status that it begins with."""
    return kind_in(text, SENTENCES, _STATUS)


def usage_of(counts: TokenCounts) -> Usage:
    """The CLI's token counts in our words."""
    return Usage(
        input_tokens=counts.input_tokens,
        output_tokens=counts.output_tokens,
        cache_read_tokens=counts.cache_read_input_tokens,
        cache_write_tokens=counts.cache_creation_input_tokens,
    )
