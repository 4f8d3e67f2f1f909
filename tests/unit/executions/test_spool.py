"""The files of a running execution, and reading one that still grows."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kokino.executions.output import spool as module
from kokino.executions.output.lines import Line
from kokino.executions.output.spool import Spool, Tail, read_line
from kokino.process.spoolfile import punch


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


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """An agent puts a pipe where its output or its session was: nobody would write into it."""
    path = tmp_path / "stdout"
    os.mkfifo(path)
    with pytest.raises(OSError, match="no regular file"):
        Tail(path).read()
    with pytest.raises(OSError, match="no regular file"):
        read_line(path, 0, 1)


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


def test_a_file_that_was_emptied_is_read_from_its_start(tmp_path: Path) -> None:
    """A shell's ``> /dev/stdout`` empties it; the half line before and every line after are handed on."""
    path = tmp_path / "stdout"
    tail = Tail(path)
    with path.open("ab", buffering=0) as file:
        file.write(b"one two three\nfo")
        assert tail.read() == ([Line(b"one two three", 13)], 16)
        os.truncate(path, 0)
        file.write(b"five\n")
        assert tail.read() == ([Line(b"fo", 2, None), Line(b"five", 4)], 5)
        assert tail.was_emptied
        file.write(b"six\n")
        assert tail.read() == ([Line(b"six", 3, 5)], 4)
        assert not tail.was_emptied
    assert tail.finish() == []


def test_what_stood_there_before_is_never_read(tmp_path: Path) -> None:
    """A session keeps the ends of earlier turns: cut below where this one began, it tells nothing more."""
    path = tmp_path / "session"
    path.write_bytes(b"old end\n")
    tail = Tail(path, 8, floor=8)
    with path.open("ab", buffering=0) as file:
        file.write(b"one\ntwo\n")
        assert [line.body for line in tail.read()[0]] == [b"one", b"two"]
        os.truncate(path, 8)
        file.write(b"three\n")
        assert [line.body for line in tail.read()[0]] == [b"three"]
        assert (tail.was_emptied, tail.is_cut) == (True, False)
        os.truncate(path, 0)
        file.write(b"old\n")
        assert tail.read() == ([], 0)
        assert tail.is_cut
        file.write(b"old end\nand what follows\n")
        assert tail.read() == ([], 0)


def test_a_file_that_has_grown_longer_since_it_was_emptied_is_not_taken_for_the_same(tmp_path: Path) -> None:
    """Its size does not tell; what stands before the place of reading does."""
    path = tmp_path / "stdout"
    path.write_bytes(b"one\n")
    tail = Tail(path)
    tail.read()
    path.write_bytes(b"two and three\n")
    assert tail.read() == ([Line(b"two and three", 13)], 14)


def test_space_that_was_given_back_is_not_taken_for_an_emptied_file(tmp_path: Path) -> None:
    """A hole reads as zeros, in part or in whole, and moves nothing."""
    path = tmp_path / "stdout"
    path.write_bytes(b"one\ntwo\n")
    tail = Tail(path)
    tail.read()
    with path.open("r+b") as file:
        assert punch(file.fileno(), 0, 6)
    with path.open("ab") as file:
        file.write(b"three\n")
    assert tail.read() == ([Line(b"three", 5, 8)], 6)
    assert not tail.was_emptied


@pytest.mark.parametrize(
    ("written", "line", "wanted"),
    [
        pytest.param(b"one\ntwo\nthree\n", Line(b"two", 3, 4), [Line(b"three", 5, 8)], id="it went on"),
        pytest.param(b"one\ntwo", Line(b"two", 3, 4), [], id="its last line has no newline"),
        pytest.param(b"new\n", Line(b"two", 3, 4), [Line(b"new", 3)], id="it was emptied"),
        pytest.param(b"a new one\n", Line(b"two", 3, 4), [Line(b"a new one", 9)], id="it has grown since"),
        pytest.param(b"new\n", Line(b"hal", 3, None), [Line(b"new", 3)], id="it was emptied in a line"),
        pytest.param(b"x" * 9 + b"\nb\n", Line(b"xx", 9, 0), [Line(b"b", 1, 10)], id="a line was cut"),
    ],
)
def test_a_later_broker_goes_on_behind_the_last_line_it_knows(
    tmp_path: Path, written: bytes, line: Line, wanted: list[Line]
) -> None:
    """Neither losing nor doubling anything, whether or not the file was emptied meanwhile."""
    path = tmp_path / "stdout"
    path.write_bytes(written)
    tail = Tail(path)
    tail.resume(line.begins_at, line.size, line.body)
    lines, _ = tail.read()
    assert lines + tail.finish() == wanted


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
