"""What this machine promises executions: tried now and then, told to everybody who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from kokino.clock import Clock
from kokino.doctor.model import Check, Supervision
from kokino.process import selfcheck
from kokino.process.promises import CGROUP
from kokino.tasks import Tasks

#: How long an outcome is told again: kernel, user and folders hardly change under a broker that runs.
LASTS = timedelta(minutes=10)

#: A broker that has control groups. Without DelegateSubgroup=, which systemd refuses here
#: before version 254: executions are killed with their groups all the same.
DELEGATE = "systemd-run --user -p Delegate=yes -p KillMode=process -E PATH kokino serve"
#: There where systemd has started the machine: see sd_booted(3).
SYSTEMD = Path("/run/systemd/system")


def told(found: selfcheck.SelfCheck, now: datetime, *, has_systemd: bool) -> Supervision:
    """What was found, with what mends it; nothing of that is systemd's where there is none."""
    return Supervision(
        checks=tuple(_with_mend(check, found.tier, has_systemd=has_systemd) for check in found.checks),
        tier=found.tier,
        checked_at=now,
    )


def _with_mend(check: selfcheck.Check, tier: str, *, has_systemd: bool) -> Check:
    return Check(
        name=check.name,
        passed=check.passed,
        message=check.message,
        is_required=check.is_required,
        mend=None if check.passed else _mend(check.name, tier, has_systemd=has_systemd),
    )


def _mend(name: str, tier: str, *, has_systemd: bool) -> str | None:
    """What mends a promise that is not kept; the others are the kernel's or the file system's."""
    if name == "socket":
        return "unset XDG_RUNTIME_DIR"
    # Where there are control groups, the kernel ends in one call what warden and keepers might be late for.
    return DELEGATE if name == "priority" and tier != CGROUP and has_systemd else None


class SupervisionChecks:
    """Makes the self-check, once at a time, and keeps its outcome for a while."""

    def __init__(self, clock: Clock, check: Callable[[], selfcheck.SelfCheck]) -> None:
        """`check` blocks: it is called in a thread."""
        self._clock = clock
        self._check = check
        self._tasks = Tasks()
        self._running: asyncio.Task[Supervision] | None = None
        self._last: Supervision | None = None

    async def found(self, *, is_fresh: bool = False) -> Supervision:
        """The outcome, which is up to `LASTS` old unless a fresh one is asked for.

        Whoever asks while a check runs gets the outcome of that one.
        """
        if (
            self._running is None
            and self._last is not None
            and not is_fresh
            and not self._is_stale(self._last)
        ):
            return self._last
        if self._running is None:
            self._running = self._tasks.start(self._made(), name="self-check of supervision")
        # Shielded: that one caller goes away must not take the outcome from the others.
        return await asyncio.shield(self._running)

    async def stop(self) -> None:
        """Wait for the check that runs; it takes a fraction of a second."""
        await self._tasks.settled()

    def _is_stale(self, last: Supervision) -> bool:
        return self._clock.now() - last.checked_at >= LASTS

    async def _made(self) -> Supervision:
        try:
            now = self._clock.now()
            found = await asyncio.to_thread(self._check)
            self._last = told(found, now, has_systemd=await asyncio.to_thread(SYSTEMD.is_dir))
            return self._last
        finally:
            self._running = None
