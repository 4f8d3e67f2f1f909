"""Which questions of a CLI are answered, and when again: on a busy machine it draws late."""

from __future__ import annotations

from kokino.agents.drivers.contract import Look, Sight
from kokino.executions.typist import UNTIL_ANSWERED, Answered

TRUST = Look(sight=Sight.DIALOG, keys=("1",), says="trust the folder")
KEY = Look(sight=Sight.DIALOG, keys=("1",), says="use the API key")


def test_a_dialog_is_answered_once_it_is_drawn_and_once() -> None:
    """The next one must not get the answer that was meant for this one."""
    answered = Answered()
    assert not answered.may_answer(TRUST, is_steady=False)
    assert answered.may_answer(TRUST, is_steady=True)
    assert not answered.may_answer(TRUST, is_steady=True)
    assert answered.may_answer(KEY, is_steady=True)


def test_a_key_that_was_not_heard_is_pressed_again() -> None:
    """After far longer than any answer takes to be drawn."""
    answered = Answered()
    assert answered.may_answer(TRUST, is_steady=True)
    looks = [answered.may_answer(TRUST, is_steady=True) for _ in range(UNTIL_ANSWERED)]
    assert looks == [False] * (UNTIL_ANSWERED - 1) + [True]


def test_what_is_no_dialog_is_not_answered() -> None:
    """A prompt to type at, a screen that nobody knows."""
    assert not Answered().may_answer(Look(sight=Sight.READY, box=""), is_steady=True)
