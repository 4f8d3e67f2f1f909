"""Who types at a CLI whose box is known: when a prompt has left it, and when its turn is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from kokino.agents.failures import FailureKind
from kokino.executions.terminal.typist import Typist
from tests.unit.executions.worked import Shown, typist

RULE = "─" * 100
HINT = "  Type your message or @path/to/file"
PROMPT = "Say hello."
MENU = "  │ › 1. Yes, allow once\n  │   2. No\n\n  Waiting for user confirmation..."
#: Its spinner stands still, and its box waits meanwhile.
WORKS = f"  > {PROMPT}\n\n  ✦ Let me see.\n\n  ⠦ Thinking... (2s · esc to cancel)"
#: Far longer than all these looks take, in seconds.
PATIENCE = 60


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOK_AGAIN", "PACE"):
        monkeypatch.setattr(f"kokino.executions.terminal.looks.{name}", 0.0)


def drawn(said: str, typed: str) -> str:
    """A screen of Qwen Code."""
    return f"{said}\n{RULE}\n> {typed}\n{RULE}\n  ? for shortcuts"


async def worked(draw: Callable[[list[str]], str], file: Path) -> tuple[Typist, list[str]]:
    """Who types, once an answer is there or it was given up; and the keys."""
    shown = Shown(draw)
    working = typist(shown, "qwen", screen_file=file)
    task = asyncio.create_task(working.work())
    async with asyncio.timeout(PATIENCE):
        while not await asyncio.to_thread(file.exists) and not task.done():
            await asyncio.sleep(0)
    task.cancel()
    return working, shown.done


async def test_enter_is_pressed_until_the_prompt_has_left_the_box(tmp_path: Path) -> None:
    """One that comes too soon behind a paste adds a line: a box that has changed is not empty for that."""

    def draw(done: list[str]) -> str:
        enters = done.count("Enter")
        if enters > 1:
            return drawn(f"  > {PROMPT}\n\n  ✦ Hello!\n", HINT)
        return drawn("", PROMPT + "\n  " * enters if PROMPT in done else HINT)

    working, done = await worked(draw, tmp_path / "screen")
    assert done[:3] == [PROMPT, "Enter", "Enter"]
    assert working.trouble is None
    assert "✦ Hello!" in (tmp_path / "screen").read_text(encoding="utf-8")


async def test_a_menu_over_the_box_gets_no_enter(tmp_path: Path) -> None:
    """It would choose: whoever types gives up instead."""
    working, done = await worked(
        lambda done: MENU if "Enter" in done else drawn("", PROMPT if done else HINT), tmp_path / "screen"
    )
    assert done == [PROMPT, "Enter"]
    assert working.trouble is not None
    assert working.trouble.kind is FailureKind.PERMISSION


async def test_what_says_that_it_works_is_not_done_however_still_it_stands(tmp_path: Path) -> None:
    """Its answer is what has been said when it waits."""
    looks = iter(range(10_000))

    def draw(done: list[str]) -> str:
        if "Enter" not in done:
            return drawn("", PROMPT if done else HINT)
        return drawn(WORKS if next(looks) < 200 else f"  > {PROMPT}\n\n  ✦ Hello!\n", HINT)

    await worked(draw, tmp_path / "screen")
    said = (tmp_path / "screen").read_text(encoding="utf-8")
    assert "✦ Hello!" in said
    assert "Let me see" not in said


async def test_the_name_of_a_session_is_waited_for(tmp_path: Path) -> None:
    """A program may have ended before its last words are drawn."""
    named, looks = "01a21c75-3f75-7213-ad12-9d78932efe9b", iter(range(10_000))
    shown = Shown(lambda done: f"  codex resume {named}" if next(looks) > 3 else "")
    working = typist(shown, "codex", screen_file=tmp_path / "screen")
    await working.last_screen()
    assert working.follow.reader.session_id == named
