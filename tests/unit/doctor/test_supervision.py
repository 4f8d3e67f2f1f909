"""The self-check is made once at a time, kept for a while, and told with what mends it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from kokino.doctor.supervision import DELEGATE, LASTS, SupervisionChecks, told
from kokino.process.selfcheck import Check, SelfCheck
from kokino.testing.clock import ManualClock

#: Far longer than anything here takes, in seconds.
PATIENCE = 30.0


def found(*checks: Check, tier: str = "tree walk") -> SelfCheck:
    """What a machine has answered."""
    return SelfCheck(checks=checks, tier=tier)


def failed(name: str, *, is_required: bool = True) -> Check:
    """A promise that is not kept."""
    return Check(name=name, passed=False, message="it is not kept", is_required=is_required)


class Machine:
    """Answers when it is let, and counts how often it was asked."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.asked = 0
        self.began = threading.Event()
        self.gate = threading.Event()
        if is_open:
            self.gate.set()

    def check(self) -> SelfCheck:
        """The self-check's place; it blocks its thread until the gate is open."""
        self.asked += 1
        self.began.set()
        assert self.gate.wait(PATIENCE)
        return found(Check(name=f"run {self.asked}", passed=True, message="seen"))


async def test_an_outcome_is_told_again_until_it_is_old() -> None:
    """It says when it was made; ten minutes later it is made anew."""
    clock, machine = ManualClock(), Machine()
    checks = SupervisionChecks(clock, machine.check)
    first = await checks.found()
    assert first.checked_at == clock.now()
    clock.move_to(first.checked_at + LASTS * 0.99)
    assert await checks.found() is first
    clock.move_to(first.checked_at + LASTS)
    second = await checks.found()
    assert (second.checks[0].name, second.checked_at) == ("run 2", clock.now())


async def test_a_fresh_outcome_is_made_at_once() -> None:
    """And is what others are told from then on."""
    machine = Machine()
    checks = SupervisionChecks(ManualClock(), machine.check)
    await checks.found()
    fresh = await checks.found(is_fresh=True)
    assert machine.asked == 2
    assert await checks.found() is fresh


async def test_callers_at_the_same_time_share_one_run() -> None:
    """Fresh or not; a caller who goes away does not take it from the others."""
    machine = Machine(is_open=False)
    checks = SupervisionChecks(ManualClock(), machine.check)
    callers = [asyncio.create_task(checks.found(is_fresh=fresh)) for fresh in (False, True, False)]
    assert await asyncio.to_thread(machine.began.wait, PATIENCE)
    callers[0].cancel()
    machine.gate.set()
    outcomes = await asyncio.gather(*callers[1:])
    assert machine.asked == 1
    assert outcomes[0] is outcomes[1]


async def test_a_stop_waits_for_the_run() -> None:
    """No thread and no program is left behind."""
    machine = Machine(is_open=False)
    checks = SupervisionChecks(ManualClock(), machine.check)
    caller = asyncio.create_task(checks.found())
    assert await asyncio.to_thread(machine.began.wait, PATIENCE)
    stop = asyncio.create_task(checks.stop())
    await asyncio.sleep(0)
    assert not stop.done()
    machine.gate.set()
    await stop
    assert (await caller).passed


@pytest.mark.parametrize(
    ("check", "tier", "mend"),
    [
        pytest.param(failed("socket"), "tree walk", "unset XDG_RUNTIME_DIR", id="a path that is too long"),
        pytest.param(
            failed("priority", is_required=False), "tree walk", DELEGATE, id="no right to run first"
        ),
        pytest.param(failed("priority", is_required=False), "cgroup", None, id="moot with control groups"),
        pytest.param(failed("pidfd"), "tree walk", None, id="only another kernel would help"),
        pytest.param(Check(name="socket", passed=True, message="ok"), "tree walk", None, id="all is well"),
    ],
)
def test_what_fails_is_told_with_what_mends_it(check: Check, tier: str, mend: str | None) -> None:
    """Where a command is known."""
    now = ManualClock().now()
    [shown] = told(found(check, tier=tier), now, has_systemd=True).checks
    assert shown.mend == mend
    [elsewhere] = told(found(check, tier=tier), now, has_systemd=False).checks
    assert elsewhere.mend == (None if mend == DELEGATE else mend)


def test_only_what_is_needed_must_pass() -> None:
    """What makes supervision dearer or later is no failure."""
    now = ManualClock().now()
    assert told(found(failed("priority", is_required=False)), now, has_systemd=True).passed
    assert not told(found(failed("subreaper")), now, has_systemd=True).passed
