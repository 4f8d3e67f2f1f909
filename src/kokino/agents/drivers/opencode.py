"""OpenCode, headless: ``opencode run --format json``.

A run is made of steps: ``step_start``, what was said and called, ``step_finish``. No record ends it: the
proof of success is a last step with the reason ``stop``, exit 0, and no ``error``.

Its records tell nothing of retries, of calls that still run, of its version. Its log does, so that is printed
to standard error: ``stream error`` for each try that failed, ``evaluated`` for each permission that a call
begins with, ``loop`` for each step, ``exiting loop`` at the end. Should a later version word its log
otherwise, that costs us these early signs and no success.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kokino.agents.drivers.contract import Command, Exit, Invocation, Outcome, Reader, Usage
from kokino.agents.drivers.needs import InFile, InVariable, Needs
from kokino.agents.drivers.opencode_failures import SENTENCES, kind_of_failure, kind_of_text
from kokino.agents.drivers.opencode_records import (
    Bill,
    Called,
    Failed,
    Failure,
    Finished,
    Named,
    Said,
    Tokens,
    log_line,
)
from kokino.agents.drivers.record_reader import RecordReader, Take, decode
from kokino.agents.drivers.signs import describe, kind_of_exit, takes_result_back
from kokino.agents.drivers.spellings import has_option
from kokino.agents.drivers.text import CONTENT_LIMIT, one_line
from kokino.agents.failures import FailureKind

#: What a last step ends with that has said all it had to say. No other reason is a proof.
DONE = "stop"
#: What ends an answer before its time, and how it is told.
STOPS = {
    "length": (FailureKind.MAX_TURNS, "it stopped at its model's limit of tokens for one answer"),
    "content-filter": (FailureKind.PERMISSION, "the model's service kept the rest of the answer back"),
}
#: A flag that it does not know makes it print its help, and no other word.
HELP = "opencode run [message..]"


class OpenCode:
    """Drives OpenCode 1.18. Flags that skip permissions are used only where somebody configured them."""

    name = "opencode"
    default_command: tuple[str, ...] = ("opencode",)
    needs = Needs(
        package="opencode-ai",
        oldest="1.18.33",
        logins=(
            InVariable("OPENCODE_API_KEY"),
            InVariable("OPENCODE_AUTH_CONTENT"),
            InVariable("ANTHROPIC_API_KEY"),
            InVariable("OPENAI_API_KEY"),
            InFile(
                path=".local/share/opencode/auth.json",
                moved_by="XDG_DATA_HOME",
                home_part=".local/share",
                key=("*",),
                expiry="expires",
                renewal="refresh",
            ),
            InFile(
                path=".config/opencode/opencode.json",
                moved_by="XDG_CONFIG_HOME",
                home_part=".config",
                key=("provider",),
            ),
        ),
        # It has models of its own that ask nobody who he is.
        is_login_needed=False,
        login_command="opencode auth login",
    )

    def command(self, invocation: Invocation) -> Command:
        """An ``opencode run`` that reads its prompt from standard input and does not update itself.

        A session with a title asks the model for none, which would be paid for.
        """
        model = ("--model", invocation.model) if invocation.model else ()
        title = ("--title", f"kokino {invocation.agent_id}")
        session = ("--session", invocation.session_id) if invocation.is_resume else title
        return Command(
            argv=(
                *invocation.command,
                *("run", "--format", "json", "--print-logs", "--log-level", "INFO"),
                *session,
                *model,
                *invocation.flags,
            ),
            stdin=invocation.prompt_file,
            env={"OPENCODE_DISABLE_AUTOUPDATE": "1"},
        )

    def reader(self, resumes: str | None = None) -> Reader:
        """A fresh reader of its records and its log."""
        return OpenCodeReader(resumes)

    def skips_permissions(self, flags: Sequence[str]) -> bool:
        """``--auto`` and its hidden names; without one whatever would be asked is refused."""
        return has_option(flags, {"auto", "yolo", "dangerouslyskippermissions"})


class OpenCodeReader(RecordReader):
    """Follows one execution's output; see `contract.Reader`."""

    SENTENCES = SENTENCES
    OPENING = re.compile("Error: |! ")
    PASSED_OVER = frozenset({"reasoning"})

    def __init__(self, resumes: str | None = None) -> None:
        super().__init__(resumes)
        self._reason = ""
        #: What the last step said: the answer, once it is finished.
        self._answer: list[str] = []
        self._failure: Failure | None = None
        #: It overcame a failure: it exits with 1 all the same.
        self._overcame = False
        #: The last failure that its log told of.
        self._logged = ""
        self._shows_help = False
        self._usage: Usage | None = None
        self._cost: float | None = None

    def takes(self) -> Mapping[str, Take]:
        """Every record has a session's id beside what its own reader takes."""
        return {
            "step_start": self._take_start,
            "text": self._take_text,
            "tool_use": self._take_call,
            "step_finish": self._take_finish,
            "error": self._take_error,
        }

    def stdout(self, line: bytes) -> None:
        """Take one line; whatever record it is, it names the session."""
        super().stdout(line)
        named = decode(line, Named) if b'"sessionID"' in line else None
        self.session_id = (named and named.session_id) or self.session_id

    def stderr(self, line: bytes) -> None:
        """Take one line of standard error: most are of the log."""
        logged = log_line(line)
        if logged is None:
            self._shows_help = self._shows_help or line.startswith(HELP.encode())
            super().stderr(line)
        elif logged.get("level") == "ERROR":
            self._take_logged_error(logged)
        else:
            self._take_logged(logged)

    def outcome(self, exit: Exit) -> Outcome:
        """Judge the whole, once the tree is gone."""
        if self._is_success(exit):
            return self._outcome(None, None)
        reason = self.reason(exit)
        is_alive = not (reason and reason.ends_session)
        return self._outcome(self._kind(exit), self._error(exit), is_alive=is_alive)

    def _is_success(self, exit: Exit) -> bool:
        if self._failure or self._reason != DONE:
            return False
        is_seen_through = self.is_final and not takes_result_back(exit)
        return exit.code == 0 or is_seen_through or (self._overcame and exit.code == 1)

    def _take_start(self, line: bytes) -> bool:
        self._goes_on()
        self._answer.clear()
        return True

    def _take_text(self, line: bytes) -> bool:
        record = decode(line, Said)
        if record and not record.part.synthetic:
            self._goes_on()
            self._answer.append(record.part.text)
            self.text.message(record.part.text)
        return record is not None

    def _take_call(self, line: bytes) -> bool:
        record = decode(line, Called)
        if record:
            self._goes_on()
            self.tools.begin(record.part.call_id, record.part.tool, bytes(record.part.state.input))
            self.tools.end(record.part.call_id)
        return record is not None

    def _take_finish(self, line: bytes) -> bool:
        record = decode(line, Finished)
        if record is None:
            return False
        self._goes_on()
        self._reason = record.part.reason
        self._add(decode(line, Bill))
        if self._failure and self._failure.name == "ContextOverflowError" and self._reason == DONE:
            # It has compacted the conversation and gone on.
            self._failure, self._overcame = None, True
        return True

    def _take_error(self, line: bytes) -> bool:
        record = decode(line, Failed)
        if record:
            self._failure = record.error
            self.early_kind = kind_of_failure(record.error)
        return record is not None

    def _take_logged(self, logged: Mapping[str, str]) -> None:
        match logged.get("message"):
            case "created" if logged.get("parentID") == "undefined":
                # Known so early, a session that never got an answer can still be gone on with.
                self.session_id = self.session_id or logged.get("id")
                self.version = logged.get("version")
            case "evaluated" if logged.get("action.action") == "allow":
                self.tools.foretell(logged.get("permission", "a tool"), logged.get("pattern", "").encode())
            case "loop" if self._is_own(logged):
                self._goes_on()
                self.tools.end_foretold()
            case "exiting loop" if self._is_own(logged):
                self.end_words()

    def _take_logged_error(self, logged: Mapping[str, str]) -> None:
        self._logged = logged.get("error.error") or logged.get("error") or self._logged
        if logged.get("message") == "stream error" and self._is_own(logged):
            self.early_kind = kind_of_text(self._logged) or FailureKind.NETWORK

    def _is_own(self, logged: Mapping[str, str]) -> bool:
        """False for the session of a helper."""
        return logged.get("session.id", "") in {self.session_id, self.resumes}

    def _goes_on(self) -> None:
        """The model has answered after all."""
        self.goes_on()

    def _add(self, bill: Bill | None) -> None:
        if bill is None:
            return
        self._usage = sum_of(self._usage or Usage(), bill.part.tokens)
        if bill.part.cost is not None:
            self._cost = (self._cost or 0) + bill.part.cost

    def _kind(self, exit: Exit) -> FailureKind:
        if self._failure:
            return kind_of_failure(self._failure) or kind_of_text(self._logged) or FailureKind.UNKNOWN
        if self._reason in STOPS:
            return STOPS[self._reason][0]
        reason = self.reason(exit)
        return self.early_kind or (reason and reason.kind) or kind_of_exit(exit)

    def _error(self, exit: Exit) -> str:
        ended = f"{describe(exit)} without a finished step"
        if self._failure:
            return one_line(self._described(self._failure))
        if self.early_kind:
            return one_line(f"{ended}; it was retrying after {self._logged}")
        if self._shows_help:
            return f"{describe(exit)} and showed its help: one of its flags is unknown to it"
        if self._reason in STOPS:
            return STOPS[self._reason][1]
        if self._reason == DONE:
            return f"{describe(exit)} after a finished step"
        odd = f"; its last step ended for the reason {self._reason!r}" if self._reason else ""
        return one_line(self.last_words or ended + odd)

    def _described(self, failure: Failure) -> str:
        said = failure.data.message or failure.name or "an error without a word"
        # "Check server logs for details", it may say, and here they are.
        return f"{said} ({self._logged})" if self._logged and failure.name == "UnknownError" else said

    def _outcome(self, kind: FailureKind | None, error: str | None, *, is_alive: bool = True) -> Outcome:
        answer = "\n".join(self._answer) if kind is None else ""
        return Outcome(
            kind=kind,
            error=error,
            content=(answer or self.text.so_far())[:CONTENT_LIMIT],
            usage=self._usage,
            cost_usd=self._cost,
            session_is_alive=is_alive,
        )


def sum_of(usage: Usage, tokens: Tokens) -> Usage:
    """What an execution took, with one more step; thinking is paid for as output."""
    return Usage(
        input_tokens=usage.input_tokens + int(tokens.input or 0),
        output_tokens=usage.output_tokens + int(tokens.output or 0) + int(tokens.reasoning or 0),
        cache_read_tokens=usage.cache_read_tokens + int(tokens.cache.read or 0),
        cache_write_tokens=usage.cache_write_tokens + int(tokens.cache.write or 0),
    )
