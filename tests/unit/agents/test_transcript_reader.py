"""The file that Claude Code keeps of a session, one turn of it: recorded with 2.1.197."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kokino.agents.drivers.contract import Exit, Outcome
from kokino.agents.drivers.terminal.transcript import TranscriptReader
from kokino.agents.failures import FailureKind

SESSION = "978ec56d-6401-48dc-be11-3fe3993e2213"
USAGE = {"input_tokens": 11, "output_tokens": 7, "cache_read_input_tokens": 2}


def record(type_: str, message: dict[str, Any] | None = None, **more: Any) -> bytes:
    """A record as the file has it."""
    own = {"isSidechain": False, "sessionId": SESSION, "version": "2.1.197", "cwd": "/work"}
    said = {} if message is None else {"message": message}
    return json.dumps({"type": type_, **own, **said, **more}).encode()


def assistant(*content: dict[str, Any], id: str = "msg_1", **more: Any) -> bytes:
    """A piece of what the model said."""
    message = {"id": id, "role": "assistant", "model": "claude-x", "content": list(content), "usage": USAGE}
    return record("assistant", message, **more)


def text(said: str) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": said}


PROMPT = record("user", {"role": "user", "content": "Remember the word heron."})
END = record("system", subtype="turn_duration", durationMs=52)
TOOL = assistant({"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}})
RESULT = record("user", {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1"}]})


def read(*lines: bytes) -> tuple[TranscriptReader, Outcome]:
    """A reader that has seen these records, and its verdict."""
    reader = TranscriptReader()
    for line in lines:
        reader.stdout(line)
    return reader, reader.outcome(Exit(code=0))


def test_a_turn_is_done_where_its_duration_is_told() -> None:
    """The answer is the last message, all its pieces; figures of one message count once."""
    reader, outcome = read(
        record("mode", mode="normal"),
        PROMPT,
        assistant(text("Let me look."), id="msg_0"),
        TOOL,
        RESULT,
        assistant(text("It is"), id="msg_2"),
        assistant(text("a heron."), id="msg_2"),
        END,
    )
    assert reader.is_final
    assert (outcome.kind, outcome.content) == (None, "It is\na heron.")
    assert (reader.session_id, reader.version, reader.unknown_records) == (SESSION, "2.1.197", 0)
    assert outcome.usage is not None
    assert (outcome.usage.input_tokens, outcome.usage.cache_read_tokens) == (33, 6)
    assert (reader.tools.count, reader.tools.running) == (1, None)


def test_without_its_end_a_turn_is_no_success() -> None:
    """Exit 0 proves nothing: it is what it exits with when somebody closes it."""
    reader, outcome = read(PROMPT, assistant(text("Half an")))
    assert not reader.is_final
    assert outcome.kind is FailureKind.PROTOCOL
    assert outcome.content == "Half an"


def test_a_tool_that_runs_is_known() -> None:
    """While it does, silence is no hang."""
    assert read(PROMPT, TOOL)[0].tools.running == 'Bash {"command": "ls"}'


@pytest.mark.parametrize(
    ("status", "word", "said", "kind"),
    [
        (401, "authentication_failed", "Please run /login · API Error: 401 no", FailureKind.AUTH),
        (429, "rate_limit", "API Error: Request rejected (429)", FailureKind.RATE_LIMIT),
        (400, "unknown", "Prompt is too long", FailureKind.CONTEXT_LENGTH),
        (None, "unknown", "API Error: Unable to connect to API (ConnectionRefused)", FailureKind.NETWORK),
    ],
)
def test_a_refusal_is_told_as_headless(status: int | None, word: str, said: str, kind: FailureKind) -> None:
    """By the message that Claude Code writes itself."""
    message = {"id": "x", "role": "assistant", "model": "<synthetic>", "content": [text(said)]}
    failed = record("assistant", message, error=word, isApiErrorMessage=True, apiErrorStatus=status)
    _, outcome = read(PROMPT, failed, END)
    assert (outcome.kind, outcome.error) == (kind, said)


def test_what_came_after_a_refusal_counts() -> None:
    """It tried again and got through."""
    message = {"id": "x", "role": "assistant", "model": "<synthetic>", "content": [text("API Error: 529")]}
    failed = record("assistant", message, error="overloaded", isApiErrorMessage=True, apiErrorStatus=529)
    assert read(PROMPT, failed, assistant(text("Well.")), END)[1].kind is None


@pytest.mark.parametrize(
    "words", ["[Request interrupted by user]", "[Request interrupted by user for tool use]"]
)
def test_somebody_stopped_it(words: str) -> None:
    """Whoever watches may press Escape: the turn is over, and no success."""
    stopped = record("user", {"role": "user", "content": [text(words)]})
    reader, outcome = read(PROMPT, stopped)
    assert reader.is_final
    assert (outcome.kind, outcome.error) == (FailureKind.CANCELLED, words)


def test_a_prompt_that_reads_like_a_stop_stops_nothing() -> None:
    """Somebody asks what the words mean."""
    asked = record("user", {"role": "user", "content": "[Request interrupted by user] What is that?"})
    reader, _ = read(asked)
    assert not reader.is_final
    assert read(asked, assistant(text("A note.")), END)[1].content == "A note."


def test_a_helpers_words_are_not_the_answer() -> None:
    """They are its own conversation, with its own tools and costs."""
    _, outcome = read(PROMPT, assistant(text("I am the answer."), id="a"),
                      assistant(text("I help."), id="b", isSidechain=True), END)  # fmt: skip
    assert outcome.content == "I am the answer."


def test_an_unknown_session_is_known_by_the_screen() -> None:
    """It is told before any record is written."""
    reader = TranscriptReader(SESSION)
    reader.stderr(f"No conversation found with session ID: {SESSION}".encode())
    outcome = reader.outcome(Exit(code=1))
    assert (outcome.kind, outcome.session_is_alive) == (FailureKind.PROTOCOL, False)


def test_a_version_that_tells_no_end_is_done_when_it_waits_again() -> None:
    """With what it has said; where that is nothing, it has failed; while a tool runs, it does not wait."""
    reader, _ = read(PROMPT, assistant(text("All of it.")))
    reader.settle()
    assert (reader.is_final, reader.outcome(Exit(code=0)).content) == (True, "All of it.")
    silent, _ = read(PROMPT)
    silent.settle()
    assert silent.outcome(Exit(code=0)).kind is FailureKind.UNKNOWN
    busy, _ = read(PROMPT, TOOL)
    busy.settle()
    assert not busy.is_final
