from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

from kokino.process.meter import FIRST_PAUSE, LONGEST_PAUSE, SHORTEST_PAUSE, Gauge, Meter, SampleFields
from kokino.process.model import Sample
from kokino.process.spawn import LaunchFields
from kokino.process.tree import Stat
from tests.unit.process.test_model import LAUNCH

#: No such process: a tree that takes nothing.
NOBODY = 2**22 + 1


def fields(tmp_path: Path, **limits: int) -> LaunchFields:
    """What the warden gets; without limits but those that are given."""
    launch = {**LAUNCH.fields(), "stdout": str(tmp_path / "out"), "stderr": str(tmp_path / "err"), **limits}
    return cast("LaunchFields", launch)


def test_an_empty_meter_wakes_nobody() -> None:
    """A warden without executions sleeps."""
    meter = Meter()

    assert meter.wait(100.0) is None
    assert meter.look(100.0) == {}


def test_pauses_grow_to_two_seconds(tmp_path: Path) -> None:
    """A tree that does not grow is looked at less and less often."""
    meter, now, waits = Meter(), 100.0, []
    meter.add("e", fields(tmp_path), NOBODY, now)
    for _ in range(5):
        waits.append(meter.wait(now) or 0)
        now += waits[-1]
        assert meter.look(now) == {"e": None}

    assert waits[0] == FIRST_PAUSE
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_PAUSE


def test_with_a_limit_the_machines_counters_are_read_between_two_walks(tmp_path: Path) -> None:
    """However seldom the tree itself is walked."""
    meter = Meter()
    meter.add("e", fields(tmp_path, processes=1_000_000), NOBODY, 100.0)
    for now in (101.0, 103.0, 105.0):
        meter.look(now)

    assert 0 < (meter.wait(105.0) or 0) <= SHORTEST_PAUSE
    assert meter.look(105.0 + SHORTEST_PAUSE) == {}


def test_all_trees_are_read_in_one_walk(tmp_path: Path) -> None:
    """As soon as one of them is due, the others need none of their own."""
    meter = Meter()
    meter.add("one", fields(tmp_path), NOBODY, 100.0)
    meter.add("two", fields(tmp_path), NOBODY, 100.0 + FIRST_PAUSE / 2)

    assert meter.look(100.0 + FIRST_PAUSE) == {"one": None, "two": None}
    assert set(meter.samples()) == {"one", "two"}


def test_a_flood_is_seen_without_a_walk(tmp_path: Path) -> None:
    """Two calls tell what the spool files take; once told, the tree is looked at no more."""
    meter = Meter()
    meter.add("e", fields(tmp_path, spool_bytes=100_000), NOBODY, 100.0)
    for now in (101.0, 103.0, 105.0):
        meter.look(now)
    (tmp_path / "out").write_bytes(b"x" * 200_000)

    assert meter.look(105.0 + SHORTEST_PAUSE) == {"e": "output"}
    assert meter.wait(106.0) is None


def test_space_that_was_given_back_does_not_count(tmp_path: Path) -> None:
    """What counts is what the files take on the disk, not how long they are."""
    with (tmp_path / "out").open("wb") as file:
        file.truncate(10_000_000)
    meter = Meter()
    meter.add("e", fields(tmp_path, spool_bytes=100_000), NOBODY, 100.0)

    assert meter.look(101.0) == {"e": None}
    assert meter.samples()["e"]["spool_bytes"] < 100_000


def test_of_too_many_processes_with_too_much_memory_the_number_is_told(tmp_path: Path) -> None:
    """A tree that runs away takes both between two looks, on a machine that is busy."""
    gauge = Gauge(fields(tmp_path, processes=1, memory_bytes=1), NOBODY, 100.0)
    both = [
        Stat(pid=pid, parent=NOBODY, state="S", started_at_ticks=1, resident_bytes=100)
        for pid in (os.getpid(), os.getppid())
    ]
    assert gauge.look({NOBODY: both}, 101.0) == "processes"


def test_a_tree_whose_memory_goes_up_and_up_is_told(tmp_path: Path) -> None:
    """All of its processes together, by the readings that the warden passes on."""
    gauge = Gauge(fields(tmp_path), NOBODY, 100.0)
    for second in range(0, 122, 2):
        taken = 100_000_000 + second * 1_000_000
        parent, child = (
            Stat(pid=NOBODY + 1, parent=NOBODY, state="S", started_at_ticks=1, resident_bytes=50_000_000),
            Stat(pid=NOBODY + 2, parent=NOBODY + 1, state="S", started_at_ticks=1, resident_bytes=taken),
        )
        gauge.look({NOBODY: [parent], NOBODY + 1: [child]}, 100.0 + second)
        if second < 60:
            assert gauge.sample is not None
            assert (gauge.sample["growth"], gauge.sample["growth_mb_per_minute"]) == ("unknown", None)

    assert gauge.sample is not None
    assert (gauge.sample["growth"], gauge.sample["growth_mb_per_minute"]) == ("growing", 60.0)
    assert gauge.sample["peak_bytes"] == gauge.sample["resident_bytes"] == 270_000_000


def test_what_an_older_warden_does_not_tell_is_unknown() -> None:
    """A broker that was restarted goes on with the warden of the one before it."""
    told = {name: 0 for name in SampleFields.__annotations__ if not name.startswith("growth")}
    sample = Sample(**cast("Any", told))
    assert (sample.growth, sample.growth_mb_per_minute) == ("unknown", None)
