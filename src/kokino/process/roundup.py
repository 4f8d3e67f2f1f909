"""Signals to all that descends from one process, and its end however fast it forks. Standard library only.

Nobody else's process is touched. A pid is signalled through a pidfd, and only after its parents have been
read one after the other up to the root: a pid that changed hands meanwhile has another start time, and a
parent is never younger than its child.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from kokino.process import linux, tree
else:  # below the warden, which finds its parts in its own folder and runs without Kokino
    import linux
    import tree

#: So many looks at what was forked since the look before; then children have to be reaped, or pids run out.
LONGEST_CHASE = 100
#: A machine that has given out more pids than this since the last look is walked as a whole instead.
WIDEST_WINDOW = 20_000


class Roundup:
    """Reaches what is below `root`, which must be the calling process.

    Those of `outside` and what is below them are left alone; it may change from call to call.
    """

    def __init__(self, root: int, outside: Collection[int] = ()) -> None:
        self._root = root
        self._outside = outside
        #: Start times, by pid, of processes that were found to be below the root.
        self._kin: dict[int, int] = {}
        #: All pids up to this one have been looked at.
        self._last = linux.last_pid()

    def ask(self, *numbers: signal.Signals) -> set[int]:
        """Send `numbers`, one after the other, to each; return the pids reached."""
        return self._signal(self._pids(), *numbers)

    def kill(self) -> set[int]:
        """Stop all, then kill all; return the pids reached.

        Stopped first: what is stopped cannot fork while the others are being killed. What was forked while
        the walk went on is hunted down by its pid, because another walk would take long enough for more.
        """
        self._last = linux.last_pid()
        stopped = self._signal(self._pids(), signal.SIGSTOP)
        return self._signal(sorted(stopped | self._chase()), signal.SIGKILL)

    def kill_new(self) -> set[int]:
        """The same with what was forked since the last call alone: what comes of a kill, without a walk."""
        return self._signal(sorted(self._chase()), signal.SIGKILL)

    def _pids(self) -> list[int]:
        """Parents before children, so that a fork that is under way is seen or fails."""
        self._kin.clear()
        return [stat.pid for stat in tree.descendants(self._root, tree.by_parent(), self._outside)]

    def _chase(self) -> set[int]:
        """Stop what is new until nothing is; oldest first, as in a walk."""
        stopped: set[int] = set()
        for _ in range(LONGEST_CHASE):
            since, self._last = self._last, linux.last_pid()
            caught = self._signal(_between(since, self._last), signal.SIGSTOP)
            if not caught:
                break
            stopped |= caught
        return stopped

    def _signal(self, pids: Iterable[int], *numbers: signal.Signals) -> set[int]:
        return {pid for pid in pids if self._reach(pid, numbers)}

    def _reach(self, pid: int, numbers: Iterable[signal.Signals]) -> bool:
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:  # gone, or the number of a thread
            return False
        try:
            # Read when the descriptor is held: if it is not that process's stat, the signal reaches nobody.
            stat = tree.read_stat(pid)
            if stat is None or not stat.is_alive or not self._is_below(stat):
                return False
            for number in numbers:
                signal.pidfd_send_signal(descriptor, number)
        except (ProcessLookupError, PermissionError):  # gone, or it took another uid: we may not touch it
            return False
        finally:
            os.close(descriptor)
        return True

    def _is_below(self, stat: tree.Stat) -> bool:
        """Climb from a process that was just read to the root.

        One that loses its parent on the way is none for now: it has become the root's own child.
        """
        climbed = {stat.pid: stat.started_at_ticks}
        while stat.pid not in self._outside:
            if stat.parent == self._root:
                self._kin |= climbed
                return True
            above = tree.read_stat(stat.parent)
            if above is None or above.started_at_ticks > stat.started_at_ticks:
                return False
            if self._kin.get(above.pid) == above.started_at_ticks:
                self._kin |= climbed
                return True
            climbed[above.pid] = above.started_at_ticks
            stat = above
        return False


def _between(since: int | None, last: int | None) -> Iterable[int]:
    """The pids that were given out after `since`, up to `last`; none where that cannot be told."""
    if since is None or last is None:
        return ()
    if since <= last:
        return range(since + 1, last + 1)[:WIDEST_WINDOW]
    # The numbers have begun anew.
    return [*range(since + 1, linux.pid_limit()), *range(1, last + 1)][:WIDEST_WINDOW]
