from __future__ import annotations

import pytest

from kokino.process import pulse
from kokino.process.pulse import Pulse, Room, is_alarming

GIB = 1024**3
CALM = Pulse(tasks=500, available_bytes=8 * GIB)


@pytest.mark.parametrize(
    ("why", "now", "room", "expected"),
    [
        ("nothing has moved", CALM, Room(60, GIB), False),
        ("tasks have grown by half of the room", CALM._replace(tasks=530), Room(60, GIB), True),
        ("by less than half", CALM._replace(tasks=529), Room(60, GIB), False),
        ("tasks have ended", CALM._replace(tasks=100), Room(60, GIB), False),
        ("memory has gone down by half of the room", Pulse(500, 7 * GIB), Room(60, 2 * GIB), True),
        ("by less than half", Pulse(500, 7 * GIB), Room(60, 3 * GIB), False),
        ("memory was given back", Pulse(500, 9 * GIB), Room(60, GIB), False),
        ("no tree has a limit", Pulse(9999, 0), Room(None, None), False),
        ("the kernel does not tell", Pulse(None, None), Room(60, GIB), False),
        ("a tree with nothing left, on a quiet machine", CALM, Room(0, 0), False),
    ],
)
def test_when_a_walk_cannot_wait(why: str, now: Pulse, room: Room, expected: bool) -> None:
    """Half of what is left to the tree that is nearest to its limit, taken by whomever."""
    assert is_alarming(CALM, now, room) is expected, why


def test_the_kernel_tells_both() -> None:
    """What /proc tells has the form that we read."""
    tasks, available = pulse.take()

    assert tasks is not None
    assert tasks > 1
    assert available is not None
    assert available > 1024 * 1024
