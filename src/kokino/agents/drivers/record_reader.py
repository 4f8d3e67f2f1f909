"""What the readers of all dialects of one JSON record per line have in common.

A dialect's reader says by what name a record goes, what to take from each, and what the whole came to. Here
is what must hold for every one of them: no line ever raises, garbage and unknown records are counted, the
last trustworthy line of standard error is remembered.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar, TypeVar

import msgspec
from msgspec import Raw, Struct, structs

from kokino.agents.drivers.contract import Exit, Outcome
from kokino.agents.drivers.signs import Sentence
from kokino.agents.drivers.text import ERROR_LIMIT, StreamedText, repaired, uncoloured
from kokino.agents.drivers.tools import ToolCalls
from kokino.agents.failures import FailureKind

T = TypeVar("T")
S = TypeVar("S", bound=Struct)
#: How Gemini CLI and Qwen Code, which has it from there, say on standard error that they cut the prompt.
PROMPT_CUT = "Warning: stdin input truncated"
#: Takes what a record says; returns whether it understood the line.
Take = Callable[[bytes], bool]


class Envelope(Struct):
    """The words by which a record's meaning is found."""

    type: str
    subtype: str | None = None

    @property
    def name(self) -> str:
        """By what name a record goes in `takes` and `PASSED_OVER`: `system` ones by their subtype too."""
        return f"system/{self.subtype}" if self.type == "system" else self.type


class LineReader(ABC):
    """What a reader keeps, whatever its CLI writes to standard output; see `contract.Reader`."""

    #: The sentences by which this CLI's failures are known; the first match wins.
    SENTENCES: ClassVar[Sequence[Sentence]] = ()
    #: How the CLI begins a line of standard error that tells why it fails. A sentence counts behind that, or
    #: at the line's beginning; elsewhere it may be a tool's, a server's, or a quotation.
    OPENING: ClassVar[re.Pattern[str]] = re.compile("(api )?error: ", re.IGNORECASE)

    def __init__(self, resumes: str | None = None) -> None:
        #: The session that the CLI was asked to go on with; None on a first turn.
        self.resumes = resumes
        self.session_id: str | None = None
        self.version: str | None = None
        self.is_final = False
        self.early_kind: FailureKind | None = None
        self.unknown_records = 0
        #: Lines of standard output that held no record.
        self.garbage_lines = 0
        self.tools = ToolCalls()
        self.text = StreamedText()
        #: The known sentence that standard error told, if any.
        self.sentence: Sentence | None = None
        #: The line of standard error that tells most: the one with the sentence, else the last.
        self.last_words = ""
        #: The CLI has read less of the prompt than there is.
        self.is_prompt_cut = False
        #: The model has answered since the last `look`.
        self.has_just_answered = False

    @abstractmethod
    def stdout(self, line: bytes) -> None:
        """Take one line of standard output, without its newline."""

    @abstractmethod
    def outcome(self, exit: Exit) -> Outcome:
        """Judge the whole, once the tree is gone."""

    def stderr(self, line: bytes) -> None:
        """Take one line of standard error, without its newline."""
        text = uncoloured(line[: 4 * ERROR_LIMIT].decode("utf-8", "replace")).strip()
        self.is_prompt_cut = self.is_prompt_cut or text.startswith(PROMPT_CUT)
        if not text or self.sentence:
            return
        # The first known sentence is the reason; until one comes, the last line is the best guess.
        self.sentence = self._told_in(text)
        self.last_words = text

    def look(self) -> None:
        """What comes next was written later than all before; see `contract.Reader`."""
        self.has_just_answered = False

    def goes_on(self) -> None:
        """The model answers: whatever went wrong before, it got over it."""
        self.early_kind = self.sentence = None
        self.has_just_answered = True

    def reason(self, exit: Exit) -> Sentence | None:
        """The known sentence that standard error told; none for a process that a signal ended."""
        return self.sentence if exit.signal is None else None

    def unless_cut(self, outcome: Outcome) -> Outcome:
        """The outcome, but no success where the model was given half a prompt."""
        if outcome.kind is not None or not self.is_prompt_cut:
            return outcome
        error = "it has read only the beginning of the prompt, which is longer than it takes"
        return replace(outcome, kind=FailureKind.CONTEXT_LENGTH, error=error)

    def _told_in(self, text: str) -> Sentence | None:
        lowered, is_own = text.lower(), self.OPENING.match(text)
        find = re.search if is_own else re.match
        return next((one for one in self.SENTENCES if find(one.text, lowered)), None)

    def end_words(self) -> None:
        """The CLI has said its last word."""
        self.is_final = True
        self.tools.clear()


class RecordReader(LineReader):
    """Follows one execution's output in a dialect of one record per line, each with a name."""

    #: Records that say nothing we use. What is neither here nor taken is counted as unknown.
    PASSED_OVER: ClassVar[Collection[str]] = frozenset()

    def __init__(self, resumes: str | None = None) -> None:
        super().__init__(resumes)
        self._takes = self.takes()

    @abstractmethod
    def takes(self) -> Mapping[str, Take]:
        """What reads each record that says something, by the record's name."""

    def stdout(self, line: bytes) -> None:
        """Take one line of standard output, without its newline."""
        if not line.strip():
            return
        envelope = decode(line, Envelope)
        if envelope is None:
            self.garbage_lines += 1
            return
        name = envelope.name
        take = self._takes.get(name)
        is_understood = take(line) if take else name in self.PASSED_OVER
        self.unknown_records += not is_understood


def decode(line: bytes, shape: type[T]) -> T | None:
    """The record in a line in the given shape, or None. Broken text in it is replaced, not refused."""
    try:
        return msgspec.json.decode(line, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        whole = repaired(line)
    if whole == line:
        return None
    return decode(whole, shape)


def decode_fields(line: bytes, shape: type[S]) -> S | None:
    """As `decode`, but a field that does not fit the shape counts as left out.

    For records by which a run is judged: a figure that a later version writes otherwise must not cost the
    proof that stands beside it.
    """
    record = decode(line, shape)
    if record is not None:
        return record
    raw = decode(line, dict[str, Raw]) or {}
    fitting = {}
    for field in structs.fields(shape):
        with suppress(KeyError, msgspec.DecodeError, RecursionError):
            fitting[field.name] = msgspec.json.decode(raw[field.encode_name], type=field.type)
    # What remains may still lack a field that must be there.
    with suppress(TypeError):
        return shape(**fitting) if raw else None
    return None
