"""Bells: who listens is told, and nobody else."""

from __future__ import annotations

from kokino.executions.watch import Topic, Watch


async def test_a_bell_rings_for_its_execution_and_topic_alone() -> None:
    """All who listen hear it."""
    watch = Watch()
    with (
        watch.listen("a", Topic.END) as one,
        watch.listen("a", Topic.END, Topic.RECORDS) as both,
        watch.listen("b", Topic.END) as other,
    ):
        watch.ring(Topic.RECORDS, "a")
        assert (one.is_set(), both.is_set(), other.is_set()) == (False, True, False)
        both.clear()
        watch.ring(Topic.END, "a")
        assert (one.is_set(), both.is_set(), other.is_set()) == (True, True, False)


async def test_ringing_for_nobody_is_no_mistake() -> None:
    """Most executions are watched by nobody."""
    Watch().ring(Topic.END, "a")


async def test_who_left_is_forgotten() -> None:
    """A broker that runs for months keeps no bell of long ago, not even of a listener that failed."""
    watch = Watch()
    try:
        with watch.listen("a", *Topic), watch.listen("a", Topic.END):
            raise ConnectionError
    except ConnectionError:
        pass
    assert watch._bells == {}
