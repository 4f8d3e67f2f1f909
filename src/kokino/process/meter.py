"""What the trees take, read in one walk of /proc for all of them, and which went over a limit.

The warden looks and not the broker: limits hold while the broker is dead or busy too. Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING or __package__:
    from kokino.process import tree
    from kokino.process.spawn import LaunchFields
else:  # below the warden, which finds its parts in its own folder and runs without Kokino
    import tree
    from spawn import LaunchFields

#: The longest pause between two looks at a tree, in seconds (DESIGN: memory each 2 s).
LONGEST_PAUSE = 2.0
#: The first look after the start; each pause is twice the one before. Instant jobs are over before it.
FIRST_PAUSE = 0.25
#: The shortest pause, for a tree that grows towards a limit: a look costs some milliseconds.
SHORTEST_PAUSE = 0.1
#: PSS is read from here on, as a part of the limit: it is dear, and resident memory only overstates it.
NEAR = 0.8
#: A block of st_blocks, in bytes (stat(2)).
BLOCK_BYTES = 512
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class SampleFields(TypedDict):
    """One reading of one tree; see `kokino.process.model.Sample`."""

    processes: int
    resident_bytes: int
    pss_bytes: int | None
    cpu_percent: float
    cpu_ms: int
    spool_bytes: int
    peak_bytes: int


class Gauge:
    """What is known of one tree."""

    def __init__(self, launch: LaunchFields, keeper_pid: int, now: float) -> None:
        self._keeper_pid = keeper_pid
        self._limits: dict[str, int | None] = {
            "memory": launch["memory_bytes"],
            "processes": launch["processes"],
            "output": launch["spool_bytes"],
        }
        self._spool = (launch["stdout"], launch["stderr"])
        self.due_at = now + FIRST_PAUSE
        self.sample: SampleFields | None = None
        self._looked_at = now
        self._pause = FIRST_PAUSE

    def look(self, by_parent: Mapping[int, list[tree.Stat]], now: float) -> str | None:
        """Take a reading; the word for the limit that it is over, or None."""
        before, since = self.sample, max(now - self._looked_at, 1e-3)
        self.sample = self._read(by_parent, before, since)
        self._looked_at = now
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        taken = _taken(self.sample)
        over = [name for name, limit in self._limits.items() if limit is not None and taken[name] > limit]
        self.due_at = now + min(self._pause, self._until_full(before, taken, since))
        return over[0] if over else None

    def _read(
        self, by_parent: Mapping[int, list[tree.Stat]], before: SampleFields | None, since: float
    ) -> SampleFields:
        found = tree.descendants(self._keeper_pid, by_parent)
        living = [stat for stat in found if stat.is_alive]
        resident = sum(stat.resident_bytes for stat in living)
        pss = self._pss(living, resident)
        cpu_ms = self._cpu_ms(found)
        used_ms = cpu_ms - before["cpu_ms"] if before else cpu_ms
        memory = resident if pss is None else pss
        return SampleFields(
            processes=len(living),
            resident_bytes=resident,
            pss_bytes=pss,
            cpu_percent=round(max(0, used_ms) / since / 10, 1),
            cpu_ms=cpu_ms,
            spool_bytes=sum(map(_space_of, self._spool)),
            peak_bytes=max(memory, before["peak_bytes"] if before else 0),
        )

    def _pss(self, living: Iterable[tree.Stat], resident: int) -> int | None:
        limit = self._limits["memory"]
        if limit is None or resident < limit * NEAR:
            return None
        return sum(map(tree.proportional_bytes_of, living))

    def _cpu_ms(self, found: Iterable[tree.Stat]) -> int:
        """Of the living, of what they have reaped, and of what the keeper has."""
        keeper = tree.read_stat(self._keeper_pid)
        ticks = sum(stat.own_ticks + stat.reaped_ticks for stat in found)
        return (ticks + (keeper.reaped_ticks if keeper else 0)) * 1000 // TICKS_PER_SECOND

    def _until_full(self, before: SampleFields | None, taken: Mapping[str, int], since: float) -> float:
        """Half the seconds until a limit is reached if it goes on growing so."""
        old = _taken(before) if before else dict.fromkeys(taken, 0)
        left = [
            (limit - taken[name]) / growth * since / 2
            for name, limit in self._limits.items()
            if limit is not None and (growth := taken[name] - old[name]) > 0
        ]
        return max(min(left, default=LONGEST_PAUSE), SHORTEST_PAUSE)


class Meter:
    """The gauges of all trees, by execution."""

    def __init__(self) -> None:
        self._gauges: dict[str, Gauge] = {}

    def add(self, id: str, launch: LaunchFields, keeper_pid: int, now: float) -> None:
        """Begin to look at a tree."""
        self._gauges[id] = Gauge(launch, keeper_pid, now)

    def remove(self, id: str) -> SampleFields | None:
        """Stop looking at a tree; the last reading, if there was one."""
        gauge = self._gauges.pop(id, None)
        return gauge.sample if gauge else None

    def samples(self) -> dict[str, SampleFields]:
        """The latest readings."""
        return {id: gauge.sample for id, gauge in self._gauges.items() if gauge.sample is not None}

    def wait(self, now: float) -> float | None:
        """Seconds until somebody must be looked at; None while there is nobody."""
        due = min((gauge.due_at for gauge in self._gauges.values()), default=None)
        return None if due is None else max(0.0, due - now)

    def look(self, now: float) -> dict[str, str | None]:
        """Read those that are due, in one walk; the limit that each went over, if any."""
        due = {id: gauge for id, gauge in self._gauges.items() if gauge.due_at <= now}
        if not due:
            return {}
        by_parent = tree.by_parent()
        return {id: gauge.look(by_parent, now) for id, gauge in due.items()}


def _taken(sample: SampleFields) -> dict[str, int]:
    pss = sample["pss_bytes"]
    return {
        "memory": sample["resident_bytes"] if pss is None else pss,
        "processes": sample["processes"],
        "output": sample["spool_bytes"],
    }


def _space_of(path: str) -> int:
    with suppress(OSError):
        return os.stat(path).st_blocks * BLOCK_BYTES  # noqa: PTH116 - no pathlib here
    return 0
