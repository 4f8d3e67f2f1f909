"""The files of a running execution, and reading one that still grows."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kokino.executions import spool as module
from kokino.executions.lines import Line
from kokino.executions.spool import Spool, Tail


def test_a_spool_is_its_users_alone(tmp_path: Path) -> None:
    """The folder and the prompt in it; making it again begins anew."""
    spool = Spool(tmp_path / "spool" / "exec-1")
    spool.create("a long prompt")
    spool.create("hej då")
    assert spool.prompt.read_bytes() == "hej då".encode()
    assert stat.S_IMODE(spool.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(spool.prompt.stat().st_mode) == 0o600


def test_what_is_removed_is_gone_and_may_be_removed_again(tmp_path: Path) -> None:
    """With everything that the keeper left in it."""
    spool = Spool(tmp_path / "exec-1")
    spool.create("x")
    spool.exit.write_text("{}")
    spool.remove()
    spool.remove()
    assert not spool.folder.exists()


def test_a_file_that_is_not_there_yet_has_no_lines(tmp_path: Path) -> None:
    """The keeper makes it a moment later; then they come."""
    path = tmp_path / "stdout"
    tail = Tail(path)
    assert tail.read() == ([], 0)
    path.write_bytes(b"one\ntw")
    assert tail.read() == ([Line(b"one", 3)], 6)
    assert tail.finish() == [Line(b"tw", 2, 4)]


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    """A half line waits for its other half."""
    path = tmp_path / "stdout"
    tail = Tail(path)
    with path.open("ab", buffering=0) as file:
        file.write(b"on")
        assert tail.read() == ([], 2)
        file.write(b"e\ntwo\n")
        assert tail.read() == ([Line(b"one", 3), Line(b"two", 3, 4)], 6)
        assert tail.read() == ([], 0)
    assert tail.finish() == []


def test_one_look_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CLI that floods does not hold up the others: the rest comes with the next looks."""
    monkeypatch.setattr(module, "CHUNK", 4)
    path = tmp_path / "stdout"
    path.write_bytes(b"abc\ndef\nghi")
    tail = Tail(path)
    looks = [tail.read() for _ in range(4)]
    assert [size for _, size in looks] == [4, 4, 3, 0]
    assert [line.body for lines, _ in looks for line in lines] == [b"abc", b"def"]
    assert tail.finish() == [Line(b"ghi", 3, 8)]
