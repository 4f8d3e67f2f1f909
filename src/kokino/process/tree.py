"""The processes below a keeper, read from /proc. Standard library only: broker, warden and keepers use it.

A process is known by its pid and its start time; a pid alone may be somebody else's by the time it is used.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

#: Dead, or dead and not yet waited for: nothing of it runs and no signal reaches it.
_DEAD = frozenset({"Z", "X", "x"})


class Stat(NamedTuple):
    """One process, as /proc/PID/stat told it."""

    pid: int
    parent: int
    #: The kernel's letter: R, S, D, T, Z, …
    state: str
    #: When it started, in clock ticks since boot.
    started_at_ticks: int
    #: Resident memory, shared pages counted in full.
    resident_bytes: int
    #: Processor time in clock ticks: its own, and that of the children that it has waited for.
    own_ticks: int = 0
    reaped_ticks: int = 0

    @property
    def is_alive(self) -> bool:
        """False for a zombie."""
        return self.state not in _DEAD


class Usage(NamedTuple):
    """What the processes below a keeper take together."""

    processes: int
    #: Sum of their resident memory: pages that they share count once for each.
    resident_bytes: int


def parse_stat(text: bytes) -> Stat:
    """Read one /proc/PID/stat. Fields start after the last parenthesis: the name may hold any of them."""
    head, _, tail = text.rpartition(b")")
    fields = tail.split()
    return Stat(
        pid=int(head.partition(b" ")[0]),
        parent=int(fields[1]),
        state=fields[0].decode(),
        started_at_ticks=int(fields[19]),
        resident_bytes=int(fields[21]) * PAGE_BYTES,
        own_ticks=int(fields[11]) + int(fields[12]),
        reaped_ticks=int(fields[13]) + int(fields[14]),
    )


def read_stat(pid: int) -> Stat | None:
    """The process `pid`, zombies too; None where there is none."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except (FileNotFoundError, ProcessLookupError):
        return None
    try:
        return parse_stat(os.read(descriptor, 4096))
    except ProcessLookupError:  # it went away between open and read
        return None
    finally:
        os.close(descriptor)


def has_terminal(pid: int) -> bool:
    """True while the process's session has a controlling terminal."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return len(fields) > 4 and fields[4] != b"0"


def argv_of(pid: int) -> tuple[str, ...]:
    """Program and arguments; empty where there is no such process."""
    words = _read(f"/proc/{pid}/cmdline").split(b"\0")
    return tuple(word.decode("utf-8", "surrogateescape") for word in words[:-1])


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - no pathlib here
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def is_running(pid: int, started_at_ticks: int) -> bool:
    """True while that very process lives: another one with its pid, or its zombie, does not count."""
    stat = read_stat(pid)
    return stat is not None and stat.is_alive and stat.started_at_ticks == started_at_ticks


def all_processes() -> Iterator[Stat]:
    """Every process of the machine, newest pids first.

    Lazy, and newest first, because what outruns us is what was forked last.
    """
    with os.scandir("/proc") as entries:
        pids = sorted((int(entry.name) for entry in entries if entry.name.isdigit()), reverse=True)
    for pid in pids:
        stat = read_stat(pid)
        if stat is not None:
            yield stat


def children(pid: int) -> Iterator[Stat]:
    """The direct children of `pid`, zombies too."""
    return (stat for stat in all_processes() if stat.parent == pid)


def below(root: int, *, started_at_ticks: int | None = None) -> list[Stat]:
    """All that descends from `root`, parents before children, without `root` and without zombies.

    With `started_at_ticks` the list is empty unless `root` is still that process.
    """
    if started_at_ticks is not None and not is_running(root, started_at_ticks):
        return []
    return [stat for stat in descendants(root, by_parent()) if stat.is_alive]


def by_parent() -> dict[int, list[Stat]]:
    """Every process of the machine, by the pid of its parent: one walk, from which many trees can be read."""
    found: dict[int, list[Stat]] = {}
    for stat in all_processes():
        found.setdefault(stat.parent, []).append(stat)
    return found


def descendants(root: int, processes: Mapping[int, list[Stat]], outside: Collection[int] = ()) -> list[Stat]:
    """All that descends from `root` in one walk, parents before children, zombies too.

    Without those of `outside` and what descends from them.
    """
    found: list[Stat] = []
    seen = {root, *outside}
    parents = [root]
    for parent in parents:
        # A walk is no snapshot: a pid that changed hands meanwhile may make a circle.
        offspring = [stat for stat in processes.get(parent, ()) if stat.pid not in seen]
        seen.update(stat.pid for stat in offspring)
        found += offspring
        parents += [stat.pid for stat in offspring]
    return found


def usage(root: int, *, started_at_ticks: int | None = None) -> Usage:
    """Count and memory of what descends from `root`."""
    found = below(root, started_at_ticks=started_at_ticks)
    return Usage(len(found), sum(stat.resident_bytes for stat in found))


def proportional_bytes_of(stat: Stat) -> int:
    """Memory of one process, shared pages divided among their users (PSS): some hundred times dearer to read.

    0 when it has ended, its resident memory where the kernel does not tell.
    """
    try:
        with open(f"/proc/{stat.pid}/smaps_rollup", "rb") as lines:  # noqa: PTH123 - no pathlib here
            for line in lines:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except OSError:
        return stat.resident_bytes
    return 0
