"""Giving back the space of what was recorded."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kokino.executions.model import Record
from kokino.executions.output import space as module
from kokino.executions.output.space import WORTH_IT, Space

NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: Two of them are worth a hole.
LINE = "x" * (WORTH_IT // 2 - 1)


def record(number: int, begins_at: int) -> Record:
    """A recorded line of half the space that is worth a hole."""
    return Record(
        number=number, stream="stdout", body=LINE, size=len(LINE), written_at=NOW, begins_at=begins_at
    )


def spooled(folder: Path, lines: int) -> Path:
    """A spool file of so many lines."""
    path = folder / "1.stdout"
    path.write_text(f"{LINE}\n" * lines)
    return path


def test_what_was_recorded_becomes_a_hole(tmp_path: Path) -> None:
    """The space before the first line that is not recorded yet."""
    path = spooled(tmp_path, 3)
    space = Space(path)
    for number in range(2):
        space.recorded(record(number, number * (len(LINE) + 1)))
    space.close()
    assert path.read_bytes() == b"\0" * WORTH_IT + LINE.encode() + b"\n"


def test_a_file_that_was_emptied_keeps_what_is_not_recorded(tmp_path: Path) -> None:
    """Where recorded lines stood, others may stand now."""
    path = spooled(tmp_path, 3)
    space = Space(path)
    space.recorded(record(1, 0))
    space.begin_anew()
    space.recorded(record(2, 0))
    space.close()
    assert "\0" not in path.read_text()


@pytest.mark.parametrize("number", [errno.EINTR, errno.EIO, errno.ENOSPC])
def test_a_file_system_that_fails_costs_no_execution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The lines are recorded; it is tried no more."""
    tries = []

    def fail(descriptor: int, start: int, length: int) -> bool:
        tries.append((start, length))
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module, "punch", fail)
    space = Space(spooled(tmp_path, 4))
    for line in range(4):
        space.recorded(record(line, line * (len(LINE) + 1)))
    space.close()
    assert tries == [(0, WORTH_IT)]


def test_a_file_that_was_removed_costs_no_execution(tmp_path: Path) -> None:
    """Nor does one that cannot be opened, or that is another one's, or a pipe that nobody reads."""
    other = spooled(tmp_path, 2)
    (tmp_path / "link").symlink_to(other)
    os.mkfifo(tmp_path / "pipe")
    for name in ("gone", "link", "pipe"):
        space = Space(tmp_path / name)
        for line in range(2):
            space.recorded(record(line, line * (len(LINE) + 1)))
        space.close()
    assert b"\0" not in other.read_bytes()
