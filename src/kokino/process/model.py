"""What is started, what runs, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from kokino.process.growth import UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How to start one execution's CLI."""

    #: The execution's id; the CLI finds it as ``KOKINO_EXECUTION``.
    id: str
    #: Program and arguments; no shell reads it.
    argv: tuple[str, ...]
    #: The complete environment; nothing is inherited. Its PATH is the one that finds the program.
    env: Mapping[str, str]
    #: Working directory, absolute.
    cwd: Path
    #: Opened as standard input; None is /dev/null.
    stdin: Path | None
    #: Spool files: appended to, made with mode 0600.
    stdout: Path
    stderr: Path
    #: Where the keeper leaves how it ended; see `read_exit_file`.
    exit_file: Path
    #: A terminal that stands for all three streams, and becomes the CLI's own. `stdout` and `stderr` are then
    #: only watched: whoever writes there is held to `spool_bytes`.
    terminal: Path | None = None
    #: Between being asked to end and being killed.
    grace: timedelta = timedelta(seconds=5)
    #: The same for what the CLI leaves behind when it has ended itself: that has no work to finish.
    leftover_grace: timedelta = timedelta(seconds=2)
    #: What the whole tree may take; None is no limit. Over it, the tree is killed at once.
    memory_bytes: int | None = None
    processes: int | None = None
    #: Disk space of the two spool files together.
    spool_bytes: int | None = None
    #: What `ps` shows of the keeper beside the execution's id: whose CLI it keeps, and which.
    title: str = ""

    def fault(self) -> str | None:
        """What no kernel would accept, as a sentence; None when there is nothing."""
        if not self.argv or not self.argv[0]:
            return "argv must name a program"
        if any(not name or "=" in name for name in self.env):
            return "a name in env must not be empty nor hold '='"
        if any("\0" in text for text in self._texts()):
            return "argv, env and paths must not hold a NUL character"
        relative = [path for path in self._paths() if not path.is_absolute()]
        return f"{relative[0]} must be an absolute path" if relative else None

    def fields(self) -> dict[str, Any]:
        """As the warden reads it."""
        return {
            "id": self.id,
            "argv": list(self.argv),
            "env": dict(self.env),
            "cwd": str(self.cwd),
            "stdin": None if self.stdin is None else str(self.stdin),
            "stdout": str(self.stdout),
            "stderr": str(self.stderr),
            "exit_file": str(self.exit_file),
            "terminal": None if self.terminal is None else str(self.terminal),
            "grace": self.grace.total_seconds(),
            "leftover_grace": self.leftover_grace.total_seconds(),
            "memory_bytes": self.memory_bytes,
            "processes": self.processes,
            "spool_bytes": self.spool_bytes,
            "title": self.title,
        }

    def _paths(self) -> Iterator[Path]:
        yield from (self.cwd, self.stdout, self.stderr, self.exit_file)
        if self.stdin is not None:
            yield self.stdin
        if self.terminal is not None:
            yield self.terminal

    def _texts(self) -> Iterator[str]:
        yield from (self.id, *self.argv)
        for pair in self.env.items():
            yield from pair
        yield from map(str, self._paths())


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A CLI that runs, and the keeper above it. A pid counts only together with its start time."""

    pid: int
    #: Clock ticks since boot, as /proc/PID/stat has it.
    started_at_ticks: int
    #: The root to walk from: all of the execution's processes are below it (`kokino.process.tree`).
    keeper_pid: int
    keeper_started_at_ticks: int
    #: Where the keeper will leave how it ended.
    exit_file: Path

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """From what the warden says."""
        return cls(**{**fields, "exit_file": Path(fields["exit_file"])})


class Breach(StrEnum):
    """The limit that a tree went over."""

    MEMORY = "memory"
    PROCESSES = "processes"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a running execution's tree takes, at the warden's last look."""

    processes: int
    #: Sum of their resident memory: pages that they share count once for each.
    resident_bytes: int
    #: Shared pages divided among their users; None far from the limit, where nobody looks so closely.
    pss_bytes: int | None
    #: Since the look before; 100 is one core.
    cpu_percent: float
    #: Since the start, of the whole tree.
    cpu_ms: int
    #: Disk space of its two spool files.
    spool_bytes: int
    #: The most memory that it was seen to take.
    peak_bytes: int
    #: When, in clock ticks since boot, as start times are.
    taken_at_ticks: int
    #: How fast its resident memory grows, in MB (1,000,000 bytes) per minute; None while too little is known.
    growth_mb_per_minute: float | None = None
    #: ``growing``, ``steady`` or ``unknown``, which a warden of an earlier version says of all.
    growth: str = UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an execution's processes ended. Code and signal are both None when nobody saw it."""

    #: Exit status of the CLI itself.
    code: int | None
    #: Number of the signal that ended it.
    signal: int | None
    #: True when it was made to end while it ran: somebody asked, or its broker or warden went away.
    was_stopped: bool
    #: Descendants that had to be ended after the CLI itself had.
    leftovers: int
    #: Why it was killed, where it went over a limit.
    breach: Breach | None = None
    #: The most memory that the tree was seen to take at one time; None where nobody looked.
    #: A measurement: two accounts of the same end may differ in it.
    peak_bytes: int | None = field(default=None, compare=False)
    #: Processor time of the whole tree; None where nobody counted.
    cpu_ms: int | None = field(default=None, compare=False)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """From what the warden or an exit file says; raises TypeError or ValueError for what is none."""
        breach = dict(fields).get("breach")
        return cls(**{**fields, "breach": None if breach is None else Breach(breach)})


def read_exit_file(path: Path) -> Ended | None:
    """How an execution ended, by its keeper's own hand; None while there is no whole exit file."""
    try:
        return Ended.of(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
