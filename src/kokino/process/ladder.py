"""How a tree is stopped: asked, given a grace, then killed until nothing is left. Standard library only."""

from __future__ import annotations

import signal

#: Seconds between two kill passes: short at first, for what forked while the first pass went by.
FIRST_PAUSE = 0.02
#: A process in uninterruptible sleep dies when the kernel lets it: looking more often is of no use.
LONGEST_PAUSE = 0.25


class Ladder:
    """How far stopping has come. Decides only; times are monotonic seconds and come as arguments."""

    def __init__(self) -> None:
        self._sent: set[int] = set()
        self._pause = FIRST_PAUSE
        self._kill_at: float | None = None
        self._next_pass_at: float | None = None

    def ask(self, number: int, *, grace: float, now: float) -> bool:
        """Start to stop, or hurry; return whether `number` is to be sent to the tree now.

        Asking again changes nothing, except that a shorter grace brings the kill forward (never back) and
        another signal is sent too.
        """
        at = now if number == signal.SIGKILL else now + grace
        if self._kill_at is None or at < self._kill_at:
            self._kill_at = self._next_pass_at = at
        is_news = number not in self._sent
        self._sent.add(number)
        return is_news and not self.is_killing(now)

    def is_killing(self, now: float) -> bool:
        """True from the end of the grace on."""
        return self._kill_at is not None and now >= self._kill_at

    def is_pass_due(self, now: float) -> bool:
        """True when the tree has to be walked and killed (again)."""
        return self._next_pass_at is not None and now >= self._next_pass_at

    def passed(self, now: float) -> None:
        """Note that a kill pass was made."""
        self._next_pass_at = now + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def wait(self, now: float) -> float | None:
        """Seconds until something is due; None when nothing will be by itself."""
        return None if self._next_pass_at is None else max(0.0, self._next_pass_at - now)
