"""The log file that people read of an agent."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kokino.executions.model import Record
from kokino.executions.output import agent_log
from kokino.executions.output.agent_log import AgentLog

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def record(body: str) -> Record:
    """A line of standard output."""
    return Record(number=1, stream="stdout", body=body, size=len(body), written_at=NOW)


def test_a_line_tells_when_and_by_which_execution_it_was_written(tmp_path: Path) -> None:
    """In a file that only its user can read."""
    log = AgentLog(tmp_path / "agents" / "writer.log")
    log.write("exec-1", [record("hello"), record("world")])
    log.write("exec-2", [record("again")])
    assert log.path.read_text("utf-8").splitlines() == [
        "2026-01-05T09:00:00.000Z exec-1 stdout hello",
        "2026-01-05T09:00:00.000Z exec-1 stdout world",
        "2026-01-05T09:00:00.000Z exec-2 stdout again",
    ]
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_a_large_file_is_put_aside_and_old_ones_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Disk space is bounded, whatever an agent writes."""
    monkeypatch.setattr(agent_log, "LONGEST", 10)
    log = AgentLog(tmp_path / "writer.log")
    for number in range(5):
        log.write("exec-1", [record(f"line {number}")])
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["writer.log.1", "writer.log.2"]
    assert log.path.with_name("writer.log.1").read_text("utf-8").endswith("line 4\n")
