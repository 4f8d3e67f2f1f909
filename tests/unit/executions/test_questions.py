"""Whose answer goes to which question of a CLI in a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from kokino.agents.drivers.contract import Interactive, Look
from kokino.agents.drivers.terminal.registry import form_of
from kokino.errors import Conflict
from kokino.executions.terminal.looks import Looks
from kokino.executions.terminal.questions import Questions
from kokino.process.tmux.terminal import Terminal
from tests.unit.executions.worked import Shown, questions

FORM = cast("Interactive", form_of("claude-code"))
WORKS = f"{'─' * 40}\n\u276f \n{'─' * 40}\n  esc to interrupt"
READY = f"{'─' * 40}\n\u276f \n{'─' * 40}\n  ? for shortcuts"


def question(command: str) -> str:
    """A permission, as Claude Code asks for it."""
    return f"{'─' * 40}\n Bash command\n {command}\n Do you want to proceed?\n \u276f 1. Yes\n   2. No"


def look(screen: str) -> Look:
    """That screen, understood."""
    return FORM.look(screen)


def asking(draw: Callable[[], str]) -> tuple[Shown, Questions]:
    """A screen, and what is asked on it."""
    shown = Shown(lambda done: draw())
    return shown, questions(Looks(cast("Terminal", shown), FORM))


async def test_an_answer_is_given_to_no_other_question() -> None:
    """Somebody answers by hand between two looks: then the key would allow what nobody has seen."""
    screens = [question("ls")]
    shown, asked = asking(lambda: screens[-1])
    await asked.see(look(screens[-1]))
    assert asked.waiting is not None
    request = asked.waiting.request
    screens.append(question("rm -r /"))
    with pytest.raises(Conflict, match="does not wait any more"):
        await asked.answer("1", request.id)
    assert shown.done == []
    screens.pop()
    await asked.answer("1", request.id)
    assert shown.done == ["1"]


async def test_of_two_answers_at_once_one_is_given() -> None:
    """The other key would answer whatever is asked next."""
    shown, asked = asking(lambda: question("ls"))
    await asked.see(look(question("ls")))
    given = await asyncio.gather(asked.answer("1", None), asked.answer("2", None), return_exceptions=True)
    assert shown.done == ["1"]
    assert [type(one) for one in given] == [type(None), Conflict]


async def test_it_is_known_whether_it_ended_at_a_question() -> None:
    """The key that stops a turn says no to a question: which it was, the screen before it tells."""
    _, asked = asking(lambda: READY)
    told = []
    for screen in (WORKS, question("ls"), READY, WORKS, READY):
        await asked.see(look(screen))
        told.append(asked.was_asking)
    assert told == [False, True, True, False, False]
