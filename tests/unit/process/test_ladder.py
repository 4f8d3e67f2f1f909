import signal

from kokino.process.ladder import FIRST_PAUSE, LONGEST_PAUSE, Ladder


def test_nothing_is_due_while_nobody_asks() -> None:
    """A ladder that nobody climbs wakes nobody."""
    ladder = Ladder()

    assert ladder.wait(100.0) is None
    assert not ladder.is_killing(100.0)
    assert not ladder.is_pass_due(100.0)


def test_the_kill_comes_when_the_grace_is_over() -> None:
    """Asked at 100 with 5 seconds of grace: killing from 105 on, not before."""
    ladder = Ladder()

    assert ladder.ask(signal.SIGTERM, grace=5, now=100.0)
    assert ladder.wait(101.0) == 4.0
    assert not ladder.is_killing(104.9)
    assert ladder.is_killing(105.0)
    assert ladder.is_pass_due(105.0)


def test_asking_again_sends_nothing_and_gives_no_more_time() -> None:
    """The same request later neither repeats the signal nor moves the kill."""
    ladder = Ladder()
    ladder.ask(signal.SIGTERM, grace=5, now=100.0)

    assert not ladder.ask(signal.SIGTERM, grace=5, now=103.0)
    assert ladder.wait(103.0) == 2.0


def test_another_signal_is_sent_too() -> None:
    """SIGINT that did nothing may be followed by SIGTERM within the same grace."""
    ladder = Ladder()
    ladder.ask(signal.SIGINT, grace=5, now=100.0)

    assert ladder.ask(signal.SIGTERM, grace=60, now=101.0)
    assert ladder.wait(101.0) == 4.0


def test_a_shorter_grace_hurries() -> None:
    """The kill moves forward, never back."""
    ladder = Ladder()
    ladder.ask(signal.SIGTERM, grace=60, now=100.0)
    ladder.ask(signal.SIGTERM, grace=1, now=100.0)

    assert ladder.wait(100.0) == 1.0


def test_sigkill_waits_for_no_grace() -> None:
    """It is not sent as a request: the kill passes start at once."""
    ladder = Ladder()

    assert not ladder.ask(signal.SIGKILL, grace=60, now=100.0)
    assert ladder.is_pass_due(100.0)


def test_kill_passes_come_at_growing_intervals() -> None:
    """What escapes the first pass meets the next one soon; what the kernel holds is not hammered."""
    ladder = Ladder()
    ladder.ask(signal.SIGKILL, grace=0, now=0.0)
    pauses = []
    for _ in range(8):
        ladder.passed(0.0)
        pauses.append(ladder.wait(0.0))

    assert pauses[:3] == [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]
    assert pauses[-1] == LONGEST_PAUSE
    assert not ladder.is_pass_due(0.0)
    assert ladder.is_killing(0.0)
