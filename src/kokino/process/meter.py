"""What the trees take, read in one walk of /proc for all of them, and which went over a limit.

The warden looks and not the broker: limits hold while the broker is dead or busy too. A walk comes every two
seconds, sooner for a tree that grows towards a limit, and at once when the machine's own counters say that
one may (`pulse.py`). Standard library only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING or __package__:
    from kokino.process import growth, pulse, tree
    from kokino.process.spawn import LaunchFields
else:  # below the warden, which finds its parts in its own folder and runs without Kokino
    import growth
    import pulse
    import tree
    from spawn import LaunchFields

#: The longest pause between two looks at a tree, in seconds (DESIGN: memory each 2 s).
LONGEST_PAUSE = 2.0
#: The first look after the start; each pause is twice the one before. Instant jobs are over before it.
FIRST_PAUSE = 0.25
#: The shortest pause, for a tree that grows towards a limit: a walk costs some milliseconds. The spool files
#: and the machine's counters are read so often while anything with a limit runs: some hundred microseconds.
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
    growth_mb_per_minute: float | None
    growth: str
    taken_at_ticks: int


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
        #: True once it went over a limit: it is being killed, and nobody needs to know more.
        self.is_over = False
        self.due_at = now + FIRST_PAUSE
        self.sample: SampleFields | None = None
        self._looked_at = now
        self._pause = FIRST_PAUSE
        self._window = growth.Window()

    @property
    def has_limits(self) -> bool:
        """False where it may take whatever it can get."""
        return any(limit is not None for limit in self._limits.values())

    def look(self, by_parent: Mapping[int, list[tree.Stat]], now: float) -> str | None:
        """Take a reading; the word for the limit that it is over, or None."""
        before, since = self.sample, now - self._looked_at
        self.sample = self._read(by_parent, before, max(since, SHORTEST_PAUSE), now)
        self._looked_at = now
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        taken = _taken(self.sample)
        self.due_at = now + min(self._pause, self._until_full(before, taken, since))
        return self._over(taken)

    def look_at_spool(self) -> str | None:
        """Read the spool files alone, which takes no walk."""
        limit = self._limits["output"]
        return None if limit is None else self._over({"output": self._spool_bytes()})

    def left(self, name: str) -> int | None:
        """How much of a limit was left at the last look."""
        limit = self._limits[name]
        return None if limit is None else limit - (_taken(self.sample)[name] if self.sample else 0)

    def _over(self, taken: Mapping[str, int]) -> str | None:
        limits = {name: self._limits[name] for name in taken}
        over = [name for name, limit in limits.items() if limit is not None and taken[name] > limit]
        self.is_over = self.is_over or bool(over)
        return over[0] if over else None

    def _spool_bytes(self) -> int:
        return sum(map(_space_of, self._spool))

    def _read(
        self, by_parent: Mapping[int, list[tree.Stat]], before: SampleFields | None, since: float, now: float
    ) -> SampleFields:
        found = tree.descendants(self._keeper_pid, by_parent)
        living = [stat for stat in found if stat.is_alive]
        resident = sum(stat.resident_bytes for stat in living)
        pss = self._pss(living, resident)
        cpu_ms = self._cpu_ms(found)
        used_ms = cpu_ms - before["cpu_ms"] if before else cpu_ms
        memory = resident if pss is None else pss
        # Of one measure throughout: a change to another one would look like a step.
        self._window.add(now, resident)
        return SampleFields(
            processes=len(living),
            resident_bytes=resident,
            pss_bytes=pss,
            cpu_percent=round(max(0, used_ms) / since / 10, 1),
            cpu_ms=cpu_ms,
            spool_bytes=self._spool_bytes(),
            peak_bytes=max(memory, before["peak_bytes"] if before else 0),
            growth_mb_per_minute=self._window.mb_per_minute,
            growth=self._window.verdict[1],
            taken_at_ticks=int(time.clock_gettime(time.CLOCK_BOOTTIME) * TICKS_PER_SECOND),
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
        #: The machine's counters at the last walk.
        self._pulse = pulse.take()
        self._pulse_due_at = 0.0

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
        watched = self._watched()
        due = [gauge.due_at for gauge in watched.values()]
        if any(gauge.has_limits for gauge in watched.values()):
            due.append(self._pulse_due_at)
        return max(0.0, min(due) - now) if due else None

    def look(self, now: float) -> dict[str, str | None]:
        """Read what has to be read now; the limit that each of those went over, if any.

        All of them in one walk, as soon as one is due: forty trees must not mean forty walks.
        """
        watched = self._watched()
        if not watched or now < min(self._pulse_due_at, *(gauge.due_at for gauge in watched.values())):
            return {}
        self._pulse_due_at = now + SHORTEST_PAUSE
        found = {id: gauge.look_at_spool() for id, gauge in watched.items()}
        beat = pulse.take()
        is_due = any(gauge.due_at <= now for gauge in watched.values())
        if not is_due and not pulse.is_alarming(self._pulse, beat, self._room()):
            return {id: breach for id, breach in found.items() if breach is not None}
        self._pulse = beat
        by_parent = tree.by_parent()
        return {id: gauge.look(by_parent, now) or found[id] for id, gauge in watched.items()}

    def _watched(self) -> dict[str, Gauge]:
        return {id: gauge for id, gauge in self._gauges.items() if not gauge.is_over}

    def _room(self) -> pulse.Room:
        left = {
            name: [room for gauge in self._watched().values() if (room := gauge.left(name)) is not None]
            for name in ("processes", "memory")
        }
        return pulse.Room(min(left["processes"], default=None), min(left["memory"], default=None))


def _taken(sample: SampleFields) -> dict[str, int]:
    pss = sample["pss_bytes"]
    # Processes first: where too many together take too much memory, their number is the cause.
    return {
        "processes": sample["processes"],
        "memory": sample["resident_bytes"] if pss is None else pss,
        "output": sample["spool_bytes"],
    }


def _space_of(path: str) -> int:
    with suppress(OSError):
        return os.stat(path).st_blocks * BLOCK_BYTES  # noqa: PTH116 - no pathlib here
    return 0
