"""Qwen Code, headless: ``qwen --output-format stream-json``. Claude's dialect, but for this:

- A refusal of the service makes a *successful* result, exit 0, whose text ends with ``[API Error: ...]``.
  It stands in no message that the model was paid for, and so is told from an answer that quotes one.
- Retries are told in no record: 500s were tried for 105 s in silence.
- Usage is the session's sum, with what its memory asked the model for in the background.
- A helper's failure is told as a result too, while the helper's call still runs. It ends nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from kokino.agents.drivers.contract import Command, Exit, Invocation, Outcome, Reader, Usage
from kokino.agents.drivers.needs import InFile, InVariable, Needs
from kokino.agents.drivers.record_reader import decode, decode_fields
from kokino.agents.drivers.signs import (
    SERVICE_SENTENCES,
    Sentence,
    kind_in,
    status_in,
)
from kokino.agents.drivers.spellings import has_letter, says
from kokino.agents.drivers.stream_json import StreamJsonReader
from kokino.agents.drivers.stream_records import Result, Said, TokenCounts
from kokino.agents.failures import FailureKind

#: They come before those of services and of the dialect; first match wins. Sources: recorded runs of
#: Qwen Code 0.15.10 (``tests/samples/qwen``) and the sentences of that program.
SENTENCES = (
    Sentence(text="no saved session found", kind=FailureKind.PROTOCOL, ends_session=True),
    Sentence(text="invalid --session-id", kind=FailureKind.PROTOCOL, ends_session=True),
    Sentence(text="reached max session turns", kind=FailureKind.MAX_TURNS),
    Sentence(text="no auth type is selected", kind=FailureKind.AUTH),
    Sentence(text="free tier has been discontinued", kind=FailureKind.AUTH),
    Sentence(text="operation cancelled", kind=FailureKind.CANCELLED),
    Sentence(text="unknown argument", kind=FailureKind.CRASH),
    Sentence(text=r"terminated \(cause|fetch failed|socket hang up|econn", kind=FailureKind.NETWORK),
    Sentence(text="streaming request timeout", kind=FailureKind.NETWORK),
)

#: How the CLI begins what it says in the model's place.
PREFIX = "[API Error: "
#: What it adds behind the bracket where the status was 429.
ADVICE = ("]\nPossible quota limitations", "]\nPlease wait and try again later")
#: Where its own login is the trouble it says so without brackets.
OAUTH = ("Qwen OAuth quota exceeded:", "Qwen OAuth free tier has been discontinued")

_STATUS = re.compile(r"^\[API Error: (\d{3})\b|\bstatus:? (?:code:? )?(\d{3})\b", re.IGNORECASE)


class Qwen:
    """Drives Qwen Code 0.15. Flags that skip permissions are used only where somebody configured them."""

    name = "qwen"
    default_command: tuple[str, ...] = ("qwen",)
    needs = Needs(
        package="@qwen-code/qwen-code",
        oldest="0.15.10",
        logins=(
            InVariable("OPENAI_API_KEY"),
            InVariable("DASHSCOPE_API_KEY"),
            InFile(
                path=".qwen/oauth_creds.json",
                moved_by="QWEN_HOME",
                home_part=".qwen",
                expiry="expiry_date",
                renewal="refresh_token",
            ),
            InFile(
                path=".qwen/settings.json",
                moved_by="QWEN_HOME",
                home_part=".qwen",
                key=("security", "auth", "apiKey"),
            ),
            InFile(path=".qwen/.env", moved_by="QWEN_HOME", home_part=".qwen"),
        ),
        login_command="qwen",
    )

    def command(self, invocation: Invocation) -> Command:
        """A ``qwen`` that reads its prompt from standard input.

        It looks for updates only where it has a terminal. That it reports its use to its vendor can be
        switched off in its settings alone (``privacy.usageStatisticsEnabled``).
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
            # It starts itself again for a heap of half the machine's memory, more than an agent may have:
            # that costs a second, a process, and signals that reach the wrong one.
            env={"QWEN_CODE_NO_RELAUNCH": "1"},
        )

    def reader(self, resumes: str | None = None) -> Reader:
        """A fresh reader of its records."""
        return QwenReader(resumes)

    def skips_permissions(self, flags: Sequence[str]) -> bool:
        """``--yolo`` in its spellings; its other approval modes still refuse something."""
        return says(flags, "yolo") or has_letter(flags, "y")


class Told(Struct):
    """``error`` of a result."""

    message: str = ""


class QwenResult(Result):
    """``result``, the last word of a run."""

    error: Told | None = None


class Bill(Struct):
    """What the service counted for one message."""

    usage: TokenCounts | None = None


class Billed(Struct):
    """An assistant record, as far as it was paid for."""

    message: Bill

    @property
    def is_paid(self) -> bool:
        """True where the model wrote some of it to its end."""
        return self.message.usage is not None and bool(self.message.usage.output_tokens)


class QwenReader(StreamJsonReader):
    """Follows one execution's output; see `contract.Reader`."""

    SENTENCES = (*SENTENCES, *SERVICE_SENTENCES, *StreamJsonReader.SENTENCES)
    COUNTS_SESSION = True

    def __init__(self, resumes: str | None = None) -> None:
        super().__init__(resumes)
        #: What the last message told of a failure; empty for a message of the model, None before the first.
        self._failure: str | None = None

    def outcome(self, exit: Exit) -> Outcome:
        """Judge the whole, once the tree is gone."""
        return self.unless_cut(super().outcome(exit))

    def result_in(self, line: bytes) -> Result | None:
        """A failure stands in a field of its own, or in the text of what calls itself a success."""
        record = decode_fields(line, QwenResult)
        if record is None:
            return None
        if record.error:
            record.errors = [record.error.message]
        failure = failure_in(record.result or "") if self._failure is None else self._failure
        if failure:
            record.is_error, record.errors = True, [failure]
            record.api_error_status = status_in(failure, _STATUS)
        return record

    def usage_of(self, counts: TokenCounts) -> Usage:
        """Cached tokens are among its input tokens: they are counted apart."""
        read = counts.cache_read_input_tokens or 0
        return Usage(
            input_tokens=max(0, (counts.input_tokens or 0) - read),
            output_tokens=counts.output_tokens or 0,
            cache_read_tokens=read,
        )

    def _take_result(self, line: bytes) -> bool:
        record = decode_fields(line, QwenResult)
        is_helpers = record is not None and not record.is_success and self.tools.running is not None
        return is_helpers or super()._take_result(line)

    def _take_assistant(self, line: bytes) -> bool:
        record = decode(line, Said)
        if record is None or record.parent_tool_use_id is not None:
            return super()._take_assistant(line)
        billed = decode(line, Billed)
        self._failure = "" if billed and billed.is_paid else failure_in(record.message.text)
        if not self._failure:
            return super()._take_assistant(line)
        self.early_kind = kind_of_text(self._failure)
        self.text.message(record.message.text.removesuffix(self._failure))
        return True


def failure_in(text: str) -> str:
    """The failure that a text ends with, in the CLI's own words; empty where it tells none."""
    start = text.rfind(PREFIX)
    told = text[start:] if start >= 0 else ""
    if told.rstrip().endswith("]") or any(advice in told for advice in ADVICE):
        return told
    return text if text.startswith(OAUTH) else ""


def kind_of_text(failure: str) -> FailureKind | None:
    """What a failure means: a known sentence, else the status in it."""
    return kind_in(failure, QwenReader.SENTENCES, _STATUS)
