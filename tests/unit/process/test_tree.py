import os

import pytest

from kokino.process.tree import PAGE_BYTES, is_running, parse_stat, read_stat

TAIL = "R 7 8 8 0 -1 4194304 95 0 0 0 0 0 0 0 20 0 1 0 123456 11000000 250 18446744073709551615 1 1"


@pytest.mark.parametrize("name", ["node", "tmux: server", "a) R 1 (b", "((", ""])
def test_a_name_with_spaces_and_parentheses_does_not_shift_the_fields(name: str) -> None:
    """A program may call itself anything; its parent and start time are read all the same."""
    stat = parse_stat(f"42 ({name}) {TAIL}\n".encode())

    assert (stat.pid, stat.parent, stat.state, stat.started_at_ticks) == (42, 7, "R", 123456)
    assert stat.resident_bytes == 250 * PAGE_BYTES


def test_a_zombie_is_not_alive() -> None:
    """Nothing of it runs; it only waits to be asked how it ended."""
    assert not parse_stat(f"42 (x) Z{TAIL[1:]}".encode()).is_alive


def test_this_process_is_running_and_one_that_started_at_another_time_is_not() -> None:
    """A pid counts only together with its start time."""
    stat = read_stat(os.getpid())

    assert stat is not None
    assert is_running(stat.pid, stat.started_at_ticks)
    assert not is_running(stat.pid, stat.started_at_ticks + 1)
