from __future__ import annotations

import pytest

from kokino.process import linux, tree
from kokino.process.roundup import WIDEST_WINDOW, Roundup, _between
from kokino.process.tree import Stat

KEEPER = 100


def stat(pid: int, parent: int, started: int) -> Stat:
    """A living process."""
    return Stat(pid=pid, parent=parent, state="S", started_at_ticks=started, resident_bytes=0)


class Table:
    """A /proc that holds what it is told."""

    def __init__(self, *stats: Stat) -> None:
        self.by_pid = {stat.pid: stat for stat in stats}

    def read(self, pid: int) -> Stat | None:
        """As `tree.read_stat`."""
        return self.by_pid.get(pid)


@pytest.mark.parametrize(
    ("why", "table", "is_ours"),
    [
        ("a child of the keeper is ours", [stat(7, KEEPER, 50)], True),
        ("a grandchild is", [stat(7, 6, 50), stat(6, KEEPER, 40)], True),
        ("a child of its parent's tick is", [stat(7, 6, 40), stat(6, KEEPER, 40)], True),
        ("a stranger's child is not", [stat(7, 6, 50), stat(6, 1, 40), stat(1, 0, 0)], False),
        ("a parent younger than its child took over a pid", [stat(7, 6, 50), stat(6, KEEPER, 60)], False),
        ("a parent that is gone says nothing", [stat(7, 6, 50)], False),
        ("what is below another keeper is not", [stat(7, 200, 50), stat(200, KEEPER, 40)], False),
        ("another keeper is not", [stat(200, KEEPER, 40)], False),
    ],
)
def test_who_is_below_the_keeper(
    monkeypatch: pytest.MonkeyPatch, why: str, table: list[Stat], is_ours: bool
) -> None:
    """Only a chain of parents that leads to it makes a process ours."""
    monkeypatch.setattr(tree, "read_stat", Table(*table).read)

    assert Roundup(KEEPER, outside={200})._is_below(table[0]) is is_ours, why


def test_what_was_ours_once_does_not_vouch_for_the_next_one_of_its_pid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pid is remembered together with its start time."""
    roundup = Roundup(KEEPER)
    table = Table(stat(6, KEEPER, 40))
    monkeypatch.setattr(tree, "read_stat", table.read)
    assert roundup._is_below(stat(6, KEEPER, 40))

    table.by_pid = {6: stat(6, 1, 60), 1: stat(1, 0, 0)}

    assert not roundup._is_below(stat(7, 6, 61))


@pytest.mark.parametrize(
    ("since", "last", "pids"),
    [
        (10, 10, []),
        (10, 13, [11, 12, 13]),
        (32766, 2, [32767, 1, 2]),
        (None, 5, []),
        (5, None, []),
    ],
)
def test_the_pids_that_were_given_out_since(
    monkeypatch: pytest.MonkeyPatch, since: int | None, last: int | None, pids: list[int]
) -> None:
    """Also where the numbers have begun anew; none where the kernel does not tell."""
    monkeypatch.setattr(linux, "pid_limit", lambda: 32768)

    assert list(_between(since, last)) == pids


def test_a_window_is_never_so_wide_that_nothing_else_gets_done() -> None:
    """The next walk finds the rest."""
    assert len(list(_between(1, 10 * WIDEST_WINDOW))) == WIDEST_WINDOW


def test_the_last_pid_is_one_that_was_given_out() -> None:
    """What /proc tells has the form that we read."""
    last = linux.last_pid()

    assert last is not None
    assert 0 < last < linux.pid_limit()
