"""What the whole machine takes, in two small reads: a sign that some tree has to be looked at now.

A walk of /proc costs milliseconds, so trees are walked seconds apart. A fork bomb fills a machine in one
second. Whatever a tree takes, the machine's own counters have moved by as much. Standard library only.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple


class Pulse(NamedTuple):
    """The machine's counters; None where the kernel does not tell."""

    #: Processes and threads.
    tasks: int | None
    #: Memory that could be had without swapping.
    available_bytes: int | None


class Room(NamedTuple):
    """How much the tree that is nearest to its limits has left; None where no tree has a limit."""

    processes: int | None
    memory_bytes: int | None


def take() -> Pulse:
    """The counters of this moment."""
    return Pulse(_tasks(_read("/proc/loadavg")), _available(_read("/proc/meminfo")))


def is_alarming(then: Pulse, now: Pulse, room: Room) -> bool:
    """True when since `then`, the last walk, so much was taken that it may be half of the room left."""
    more_tasks = _difference(then.tasks, now.tasks)
    less_memory = _difference(now.available_bytes, then.available_bytes)
    return _is_half(more_tasks, room.processes) or _is_half(less_memory, room.memory_bytes)


def _difference(less: int | None, more: int | None) -> int:
    return 0 if less is None or more is None else more - less


def _is_half(taken: int, room: int | None) -> bool:
    return room is not None and taken > 0 and taken * 2 >= room


def _read(path: str) -> bytes:
    with suppress(OSError), open(path, "rb") as file:  # noqa: PTH123 - no pathlib here
        return file.read()
    return b""


def _tasks(loadavg: bytes) -> int | None:
    # "0.52 0.58 0.59 2/711 22134": running and existing ones stand in the fourth field.
    with suppress(IndexError, ValueError):
        return int(loadavg.split()[3].split(b"/")[1])
    return None


def _available(meminfo: bytes) -> int | None:
    for line in meminfo.splitlines():
        if line.startswith(b"MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None
