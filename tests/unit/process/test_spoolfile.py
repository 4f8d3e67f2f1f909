from __future__ import annotations

from pathlib import Path

import pytest

from kokino.process import spoolfile
from kokino.process.spoolfile import punch

MIB = 1024 * 1024


def test_a_hole_gives_space_back_and_moves_nothing(tmp_path: Path) -> None:
    """Whoever appends and whoever reads behind the hole do not notice."""
    path = tmp_path / "spool"
    path.write_bytes(b"x" * (4 * MIB) + b"end")
    before = path.stat()
    with path.open("r+b") as file:
        assert punch(file.fileno(), 0, 4 * MIB)

    assert path.stat().st_size == before.st_size
    assert path.stat().st_blocks < before.st_blocks / 2
    assert path.read_bytes() == b"\0" * (4 * MIB) + b"end"


def test_a_system_without_the_call_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the space is given back with the file."""
    monkeypatch.setattr(spoolfile, "_fallocate", None)

    assert punch(0, 0, 1) is False


def test_a_descriptor_that_may_not_write_is_a_fault(tmp_path: Path) -> None:
    """A mistake of ours is not taken for a property of the file system."""
    path = tmp_path / "spool"
    path.write_bytes(b"x")
    with path.open("rb") as file, pytest.raises(OSError, match="fallocate"):
        punch(file.fileno(), 0, 1)
