"""The files of one running execution: its prompt going in, its output coming out, how it exited."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path

from kokino.executions.output.lines import LONGEST_LINE, Line, LineSplitter

#: What one look at a stream reads at the most, in bytes. Reading, decoding and writing so much down takes a
#: few milliseconds: as long as one flooding CLI may keep the broker from everybody else.
CHUNK = 64 * 1024
#: So many of the bytes that were read last are compared with the file, to tell that it was emptied and
#: written anew. Records often end alike; this is longer than their common ends.
COMPARED = 256


def occupied(folder: Path) -> int:
    """Bytes of disk that all executions' spool files take, without the holes in them.

    Looks at each file: not for the event loop.
    """
    return sum(_blocks(file) for file in folder.rglob("*"))


def _blocks(file: Path) -> int:
    try:
        return file.lstat().st_blocks * 512
    except OSError:  # gone meanwhile: its execution is recorded
        return 0


@dataclass(frozen=True, slots=True)
class Spool:
    """A private folder for one execution. Gone once everything in it is recorded.

    Each attempt has files of its own: how an earlier one ended must never be read as the end of a later one.
    """

    folder: Path
    #: Which of the execution's processes, from 1.
    attempt: int = 1

    @property
    def prompt(self) -> Path:
        """The prompt, as UTF-8."""
        return self.folder / "prompt"

    @property
    def stdin(self) -> Path:
        """The FIFO by which a CLI that is spoken with hears us."""
        return self.folder / f"{self.attempt}.stdin"

    @property
    def stdout(self) -> Path:
        """What the CLI wrote to standard output."""
        return self.folder / f"{self.attempt}.stdout"

    @property
    def stderr(self) -> Path:
        """What the CLI wrote to standard error."""
        return self.folder / f"{self.attempt}.stderr"

    @property
    def screen(self) -> Path:
        """Lines of the screen of a CLI in a terminal, where they tell something."""
        return self.folder / f"{self.attempt}.screen"

    @property
    def session(self) -> Path:
        """Which file a CLI in a terminal keeps of its session, and where in it this execution begins."""
        return self.folder / f"{self.attempt}.session"

    @property
    def exit(self) -> Path:
        """How it ended, written by its keeper."""
        return self.folder / f"{self.attempt}.exit"

    def create(self, prompt: str) -> None:
        """Make the folder and the prompt, for this user only."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.prompt, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(prompt.encode())

    def remove(self) -> None:
        """Delete all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def latest_attempt(folder: Path) -> int:
    """The try whose files were made last; 1 where there are none yet.

    Told by the files and not by the database: a broker may die between a start and its note of it.
    """
    numbers = [int(path.stem) for path in folder.glob("*.stdout") if path.stem.isdigit()]
    return max(numbers, default=1)


@dataclass(slots=True)
class Tail:
    """Reads a file that another process appends to, and may empty: a shell's ``> /dev/stdout`` does."""

    path: Path
    #: Where the next line begins, in bytes from the start of the file.
    next_at: int = 0
    #: True when the last look found that the file had been emptied.
    was_emptied: bool = False
    #: What stands before it is none of this process's and is never read: an earlier turn's end, say.
    floor: int = 0
    #: True once the file is shorter than that: where this process's lines begin is known no more.
    is_cut: bool = False
    _splitter: LineSplitter = field(default_factory=LineSplitter)
    _descriptor: int | None = None
    #: The end of what was read.
    _before: bytes = b""

    def resume(self, begins_at: int | None, size: int, body: bytes) -> None:
        """Begin behind a line that was read before."""
        if begins_at is None:  # the half of one: the file was emptied behind it
            self.next_at, self._before = self.floor, b""
            return
        self.next_at = begins_at + size + 1
        # Of one that was cut the end is not known.
        self._before = ((body if len(body) == size else b"") + b"\n")[-COMPARED:]

    def read(self) -> tuple[list[Line], int]:
        """The lines that have become whole since the last look, and how many bytes were read."""
        self.was_emptied = False
        if self._descriptor is None:
            try:
                self._descriptor = self._open()
            except FileNotFoundError:
                return [], 0
        self.is_cut = self.is_cut or os.fstat(self._descriptor).st_size < self.floor
        if self.is_cut:
            return [], 0
        lines = self._begin_anew(self._descriptor) if self._is_other(self._descriptor) else []
        chunk = os.read(self._descriptor, CHUNK)
        self._before = (self._before + chunk)[-COMPARED:]
        return lines + self._placed(self._splitter.feed(chunk)), len(chunk)

    def finish(self) -> list[Line]:
        """The half line at the end, once nobody writes any more; closes the file."""
        self.close()
        return self._placed(self._splitter.finish())

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        descriptor = opened(self.path)
        begins_at = self.next_at
        if (
            self.floor < begins_at == os.fstat(descriptor).st_size + 1
        ):  # the last line that was read had no newline
            begins_at -= 1
            self._before = self._before[:-1]
        os.lseek(descriptor, begins_at, os.SEEK_SET)
        return descriptor

    def _is_other(self, descriptor: int) -> bool:
        """True when what was read is not what stands there now.

        The size alone does not tell: between two looks a file may be emptied and grow longer than it was.
        Zeros are a hole, by which we gave space back.
        """
        begins_at = os.lseek(descriptor, 0, os.SEEK_CUR) - len(self._before)
        now = os.pread(descriptor, len(self._before), begins_at)
        if now == self._before:
            return False
        return len(now) < len(self._before) or any(
            byte not in {0, was} for byte, was in zip(now, self._before, strict=True)
        )

    def _begin_anew(self, descriptor: int) -> list[Line]:
        """Go to where it began; the half line whose other half is lost."""
        os.lseek(descriptor, self.floor, os.SEEK_SET)
        self.was_emptied = True
        self.next_at, self._before = self.floor, b""
        return [Line(line.body, line.size, None) for line in self._splitter.finish()]

    def _placed(self, lines: list[Line]) -> list[Line]:
        placed = []
        for line in lines:
            placed.append(Line(line.body, line.size, self.next_at))
            self.next_at += line.size + 1
        return placed


def opened(path: Path) -> int:
    """A descriptor to read a file by. Raises `OSError` for what is none.

    An agent may put a pipe in its place, and opening one waits for who writes: the whole broker would.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "no regular file", str(path))


def read_line(path: Path, begins_at: int, size: int) -> bytes:
    """A line that was read before, as it was handed on then; what is there where the file is gone."""
    try:
        with os.fdopen(opened(path), "rb") as file:
            file.seek(begins_at)
            return file.read(min(size, LONGEST_LINE))
    except FileNotFoundError:
        return b""
