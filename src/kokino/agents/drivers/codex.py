"""OpenAI Codex, headless: ``codex exec --json``.

The order of a good run: ``thread.started``, ``turn.started``, items as they begin and end, at last
``turn.completed``, the proof of success. ``error`` records tell of every retry and ``turn.failed`` says why
the CLI gave up; an *item* of type error is a mere warning and stands in good runs too.

Seen in 0.169.0: a command that fails because its sandbox lets it write nothing is told in no record, so the
count of tools is a lower bound.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from kokino.agents.drivers.codex_failures import REFUSAL, SENTENCES, WEAK_SENTENCES, kind_of_text
from kokino.agents.drivers.codex_records import (
    OfItem,
    ThreadStarted,
    TokenCounts,
    Trouble,
    TurnCompleted,
    TurnFailed,
)
from kokino.agents.drivers.contract import Command, Exit, Invocation, Outcome, Reader, Usage
from kokino.agents.drivers.needs import InFile, InVariable, Needs
from kokino.agents.drivers.record_reader import RecordReader, Take, decode, decode_fields
from kokino.agents.drivers.signs import describe, kind_of_exit, takes_result_back
from kokino.agents.drivers.spellings import has_option, says, values_of
from kokino.agents.drivers.text import CONTENT_LIMIT, one_line
from kokino.agents.failures import FailureKind

#: Items that are said, not done: they take no time that a deadline should allow for.
SAYINGS = frozenset({"agent_message", "reasoning", "error", "todo_list"})
TOOLS = frozenset({"command_execution", "file_change", "mcp_tool_call", "collab_tool_call", "web_search"})
#: Sandboxes that still refuse something.
SANDBOXES = frozenset({"read-only", "workspace-write"})
#: What ``-c`` may set without anybody's leave, beside those. Any other may loosen or replace the sandbox.
HARMLESS_SETTINGS = frozenset({
    "analytics.enabled",
    "hide_agent_reasoning",
    "model",
    "model_auto_compact_token_limit",
    "model_context_window",
    "model_reasoning_effort",
    "model_reasoning_summary",
    "model_verbosity",
})  # fmt: skip
#: Flags that give leave, or choose settings that stand elsewhere.
LOOSE = frozenset({"approveforme", "ignorerules", "profile", "trust", "yolo"})
#: What it says on standard error in good runs too.
CHATTER = (b"Reading ", b"WARNING: proceeding")


class Codex:
    """Drives Codex 0.169. Flags that skip permissions are used only where somebody configured them."""

    name = "codex"
    default_command: tuple[str, ...] = ("codex",)
    needs = Needs(
        package="@openai/codex",
        oldest="0.169.0",
        logins=(
            InVariable("CODEX_API_KEY"),
            InVariable("CODEX_ACCESS_TOKEN"),
            InFile(path=".codex/auth.json", moved_by="CODEX_HOME", home_part=".codex", key=("tokens",)),
            InFile(
                path=".codex/auth.json", moved_by="CODEX_HOME", home_part=".codex", key=("OPENAI_API_KEY",)
            ),
            # Another provider's key is in a variable that its own table names.
            InFile(
                path=".codex/config.toml", moved_by="CODEX_HOME", home_part=".codex", key=("model_provider",)
            ),
        ),
        login_command="codex login",
    )

    def command(self, invocation: Invocation) -> Command:
        """A ``codex exec`` that reads its prompt from standard input.

        The flags stand before ``resume``, which takes fewer of them than ``exec`` does.
        """
        model = ("--model", invocation.model) if invocation.model else ()
        session = ("resume", invocation.session_id) if invocation.is_resume else ()
        return Command(
            argv=(
                *invocation.command,
                "exec",
                # Its report of itself costs 5 s at the end where the vendor cannot be reached.
                *("-c", "analytics.enabled=false"),
                *model,
                *invocation.flags,
                *("--skip-git-repo-check", "--json"),
                *session,
                "-",
            ),
            stdin=invocation.prompt_file,
        )

    def reader(self, resumes: str | None = None) -> Reader:
        """A fresh reader of its records."""
        return CodexReader(resumes)

    def skips_permissions(self, flags: Sequence[str]) -> bool:
        """Without its sandbox a command may do anything: ``exec`` asks nobody either way."""
        return (
            says(flags, "dangerously")
            or says(flags, "dangerfullaccess")
            or has_option(flags, LOOSE)
            or any(True for _ in values_of(flags, "profile", "p"))
            or not all(map(_is_harmless, values_of(flags, "config", "c")))
        )


class CodexReader(RecordReader):
    """Follows one execution's output; see `contract.Reader`."""

    SENTENCES = (*SENTENCES, *WEAK_SENTENCES, REFUSAL)
    PASSED_OVER = frozenset({"turn.started"})

    def __init__(self, resumes: str | None = None) -> None:
        super().__init__(resumes)
        self._completed: TurnCompleted | None = None
        self._failed: TurnFailed | None = None
        #: What the last message said: the answer, once the turn is completed.
        self._answer = ""
        #: What the CLI struggles with.
        self._trouble = ""

    def takes(self) -> Mapping[str, Take]:
        """Items tell by their own type what they are."""
        return {
            "thread.started": self._take_thread,
            "item.started": self._take_begin,
            "item.updated": self._take_begin,
            "item.completed": self._take_end,
            "error": self._take_error,
            "turn.completed": self._take_completed,
            "turn.failed": self._take_failed,
        }

    def stderr(self, line: bytes) -> None:
        """Take one line of standard error, unless it is chatter."""
        if not line.startswith(CHATTER):
            super().stderr(line)

    def outcome(self, exit: Exit) -> Outcome:
        """Judge the whole, once the tree is gone."""
        if self._completed is None or takes_result_back(exit):
            return self._outcome(self._kind(exit), self._error(exit), is_alive=self._is_alive(exit))
        if self._is_astray:
            began = f"began session {self.session_id} instead of going on with {self.resumes}"
            return self._outcome(FailureKind.PROTOCOL, f"Codex {began}", is_alive=False)
        return self._outcome(None, None)

    @property
    def _is_astray(self) -> bool:
        """True where it began a new session though it was to go on: it takes an unknown name for one."""
        return None not in {self.resumes, self.session_id} and self.session_id != self.resumes

    def _is_alive(self, exit: Exit) -> bool:
        """False where the session that was asked for is none."""
        reason = self.reason(exit)
        is_unknown = reason is not None and reason.ends_session and self.session_id is None
        return not (self._is_astray or is_unknown)

    def _take_thread(self, line: bytes) -> bool:
        record = decode(line, ThreadStarted)
        if record:
            self.session_id = record.thread_id
        return record is not None

    def _take_begin(self, line: bytes) -> bool:
        record = decode(line, OfItem)
        if record and record.item.type not in SAYINGS:
            self._goes_on()
            self.tools.begin(record.item.id, record.item.name, record.item.input)
        return record is not None and record.item.type in SAYINGS | TOOLS

    def _take_end(self, line: bytes) -> bool:
        # Some items are told only once they are done: they begin here, too.
        is_known = self._take_begin(line)
        record = decode(line, OfItem)
        if record and record.item.type == "agent_message":
            self._answer = record.item.text
            self.text.message(record.item.text)
        if record and record.item.type in {"agent_message", "reasoning"}:
            self._goes_on()
        if record:
            self.tools.end(record.item.id)
        return is_known

    def _take_error(self, line: bytes) -> bool:
        record = decode(line, Trouble)
        if record:
            self._trouble = record.message
            self.early_kind = kind_of_text(record.message) or self.early_kind
        return record is not None

    def _take_completed(self, line: bytes) -> bool:
        # That it came is the proof, whatever a later version makes of its fields.
        self._completed = decode_fields(line, TurnCompleted) or TurnCompleted()
        self.end_words()
        return True

    def _take_failed(self, line: bytes) -> bool:
        self._failed = decode(line, TurnFailed) or TurnFailed()
        self.end_words()
        return True

    def _goes_on(self) -> None:
        """The model has answered after all."""
        self.goes_on()
        self._trouble = ""

    def _kind(self, exit: Exit) -> FailureKind:
        if self._completed:
            return kind_of_exit(exit)
        if self._failed:
            return kind_of_text(self._failed.error.message) or self.early_kind or FailureKind.UNKNOWN
        reason = self.reason(exit)
        return self.early_kind or (reason and reason.kind) or kind_of_exit(exit)

    def _error(self, exit: Exit) -> str:
        ended = f"{describe(exit)} {'after' if self._completed else 'without'} a completed turn"
        if self._completed:
            return ended
        if self._failed:
            return one_line(self._failed.error.message or "the turn failed, and Codex does not say why")
        if self._trouble:
            return one_line(f"{ended}; the last it told of: {self._trouble}")
        return one_line(self.last_words or ended)

    def _outcome(self, kind: FailureKind | None, error: str | None, *, is_alive: bool = True) -> Outcome:
        answer = self._answer if kind is None else ""
        usage = self._completed.usage if self._completed else None
        return Outcome(
            kind=kind,
            error=error,
            content=(answer or self.text.so_far())[:CONTENT_LIMIT],
            usage=usage_of(usage) if usage else None,
            session_is_alive=is_alive,
            counts_session=True,
        )


def _is_harmless(setting: str) -> bool:
    """True for a ``key=value`` that leaves the sandbox what it is."""
    key, _, value = setting.partition("=")
    if key.strip() == "sandbox_mode":
        return _read(value) in SANDBOXES
    return key.strip() in HARMLESS_SETTINGS


def _read(value: str) -> Any:
    """A value as it reads it: as TOML, which knows escapes, and else as it stands."""
    try:
        read = tomllib.loads(f"value = {value}")["value"]
    except ValueError:
        return value.strip().strip("\"'")
    return read if isinstance(read, str) else None


def usage_of(counts: TokenCounts) -> Usage:
    """The CLI's token counts in our words: what was read from or written to a cache is counted apart."""
    read, written = counts.cached_input_tokens or 0, counts.cache_write_input_tokens or 0
    return Usage(
        input_tokens=max(0, (counts.input_tokens or 0) - read - written),
        output_tokens=counts.output_tokens or 0,
        cache_read_tokens=read,
        cache_write_tokens=written,
    )
