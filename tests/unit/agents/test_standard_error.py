"""What a line of standard error tells of a failure, and when it tells nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kokino.agents.drivers.contract import Exit
from kokino.agents.drivers.gemini import GeminiReader
from kokino.agents.drivers.record_reader import LineReader
from kokino.agents.drivers.registry import DRIVERS
from kokino.agents.failures import FailureKind
from tests.unit.agents.streams import fed

SESSION = "4abd6c4e-c8bf-4f1d-b9ec-cd8ca6e7dc75"
FAILED = Exit(code=1)
CRASHED = Exit(signal=11)
#: By driver: how it says that the session is unknown to it, and lines that only hold such words.
TOLD = {
    "claude-code": (
        b"No conversation found with session ID: 1",
        (b"[mcp] server said: not logged in", b'hook printed "invalid api key"'),
    ),
    "codex": (
        b"Error: thread/resume: thread/resume failed: no rollout found for thread id 1",
        (
            b"2026-01-01T00:00:00Z ERROR codex_core::tools: exec failed: `grep -rn 'not logged in'`",
            b"mcp-server: usage: hit your usage limit of 3 tabs",
        ),
    ),
    "gemini": (
        b"Error resuming session: No previous sessions found for this project.",
        (b"[mcp] server: quota will reset after midnight", b"hook: error resuming session of the editor"),
    ),
    "opencode": (
        b"\x1b[91m\x1b[1mError: \x1b[0mSession not found",
        (b"mcp-server: user session not found in cache, going on", b"plugin: overloaded operator"),
    ),
    "qwen": (
        b"No saved session found with ID 1.",
        (b"mcp-server: no saved session found", b"hook: fetch failed, going on"),
    ),
}
#: By driver: a record by which its model answers.
ANSWERS: dict[str, dict[str, Any]] = {
    "claude-code": {"type": "assistant", "message": {"content": [{"type": "text", "text": "so"}]}},
    "codex": {"type": "item.completed", "item": {"id": "1", "type": "agent_message", "text": "so"}},
    "gemini": {"type": "message", "role": "assistant", "content": "so"},
    "opencode": {"type": "text", "part": {"text": "so"}},
    "qwen": {"type": "assistant", "message": {"content": [{"type": "text", "text": "so"}]}},
}


def reader_of(name: str) -> LineReader:
    """A fresh reader of an execution that goes on with a session."""
    reader = DRIVERS[name].reader(SESSION)
    assert isinstance(reader, LineReader)
    return reader


every_driver = pytest.mark.parametrize("name", sorted(TOLD))


@every_driver
def test_a_line_that_the_cli_begins_as_its_own_is_the_reason(name: str) -> None:
    """It ends the session, for whoever tries again must begin anew."""
    told, _ = TOLD[name]
    outcome = fed(reader_of(name), b"", told).outcome(FAILED)
    assert (outcome.kind, outcome.session_is_alive) == (FailureKind.PROTOCOL, False)


@every_driver
def test_words_in_the_middle_of_a_line_are_nobodys(name: str) -> None:
    """A tool's, a server's, a quotation: the process crashed, and its session lives on."""
    _, noise = TOLD[name]
    for line in noise:
        for exit_ in (FAILED, CRASHED):
            outcome = fed(reader_of(name), b"", line).outcome(exit_)
            assert (outcome.kind, outcome.session_is_alive) == (FailureKind.CRASH, True), line


@every_driver
def test_a_process_that_a_signal_ended_has_not_told_why(name: str) -> None:
    """Whatever it wrote before, it did not exit for that."""
    told, _ = TOLD[name]
    outcome = fed(reader_of(name), b"", told).outcome(CRASHED)
    assert (outcome.kind, outcome.session_is_alive) == (FailureKind.CRASH, True)


@every_driver
def test_what_the_model_has_answered_since_is_no_reason(name: str) -> None:
    """The run got over it; and a later line has its turn."""
    told, _ = TOLD[name]
    reader = fed(reader_of(name), b"", told)
    reader.stdout(json.dumps(ANSWERS[name]).encode())
    outcome = reader.outcome(FAILED)
    assert (outcome.kind, outcome.session_is_alive) == (FailureKind.CRASH, True)


def test_a_retry_beside_an_answer_is_older_than_it() -> None:
    """Both came in one look, which tells output before standard error; in a later one it is a new retry."""
    retry = b"Attempt 1 failed with status 429. Retrying with backoff..."
    reader = GeminiReader()
    reader.look()
    reader = fed(reader, json.dumps(ANSWERS["gemini"]).encode(), retry)
    assert reader.early_kind is None
    reader.look()
    reader.stderr(retry)
    assert reader.early_kind is FailureKind.RATE_LIMIT
