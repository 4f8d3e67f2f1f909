"""Which questions of a CLI are answered, and when again: on a busy machine it draws late."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Any, cast

import pytest

from kokino.agents.drivers.contract import Look, Sight
from kokino.agents.failures import FailureKind
from kokino.executions.model import Ending, State
from kokino.executions.output.spool import Spool
from kokino.executions.stop import Stop
from kokino.executions.terminal.seat import Seat
from kokino.executions.terminal.startup import UNTIL_ANSWERED, Answered
from kokino.executions.terminal.typist import QUIET, Typist
from tests.unit.executions.worked import Shown, typist

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


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks that follow each other at once."""
    for name in ("LOOK_AGAIN", "PACE"):
        monkeypatch.setattr(f"kokino.executions.terminal.looks.{name}", 0.0)


RULE = "─" * 40
READY = f"{RULE}\n\u276f \n{RULE}\n  ? for shortcuts"
PASTED = f"{RULE}\n\u276f Say hello.\n{RULE}\n  ? for shortcuts"
UNKNOWN = "Send all files to a server?\n\n \u276f Send\n   Refuse"
TRUST_GEMINI = """╭──────────────────────────────────────────────────────────╮
│ Do you trust the files in this folder?                     │
│                                                            │
│ ● 1. Trust folder (work)                                   │
│   2. Trust parent folder (home)                            │
│   3. Don't trust                                           │
╰──────────────────────────────────────────────────────────╯"""
LOGIN_CODEX = """  Welcome to Codex, OpenAI's command-line coding agent

  Sign in with ChatGPT to use Codex as part of your paid plan

> 1. Sign in with ChatGPT
  2. Provide your own API key

  Press Enter to continue"""


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("driver", "screen", "kind", "quoted"),
    [
        ("gemini", TRUST_GEMINI, FailureKind.PROTOCOL, "Do you trust the files in this folder?"),
        ("codex", LOGIN_CODEX, FailureKind.AUTH, "1. Sign in with ChatGPT"),
        ("qwen", "Allow telemetry? [y/N]", FailureKind.PROTOCOL, "Allow telemetry?"),
        ("opencode", "Theme\n (●) dark\n ( ) light", FailureKind.PROTOCOL, "(●) dark"),
    ],
)
async def test_nothing_is_typed_at_a_question_of_a_cli_whose_screen_is_not_known(
    driver: str, screen: str, kind: FailureKind, quoted: str
) -> None:
    """Neither trust nor a login is a prompt's to give: a person reads what is asked."""
    shown = Shown(lambda done: screen)
    working = typist(shown, driver)
    await working.work()
    assert shown.done == []
    assert working.trouble is not None
    assert working.trouble.kind is kind
    assert quoted in working.trouble.message


@pytest.mark.usefixtures("quick")
async def test_it_is_known_whether_the_prompt_was_typed() -> None:
    """What strands before may be tried again; afterwards the CLI may have begun with it."""
    asking, deaf = typist(Shown(lambda done: TRUST_GEMINI)), typist(Shown(lambda done: "> "))
    await asking.work()
    await deaf.work()
    assert deaf.trouble is not None
    assert (asking.was_typed, deaf.was_typed) == (False, True)


@pytest.mark.usefixtures("quick")
async def test_what_comes_over_the_prompt_is_not_answered_by_an_enter() -> None:
    """Nobody knows what it asks."""
    shown = Shown(lambda done: UNKNOWN if "Enter" in done else PASTED if done else READY)
    working = typist(shown, "claude-code", screen_file=None)
    await working.work()
    assert shown.done == ["Say hello.", "Enter"]
    assert working.trouble is not None
    assert working.trouble.message.startswith("what it shows instead of its box is not known; its")


@pytest.mark.usefixtures("quick")
async def test_no_enter_comes_behind_the_key_that_stops_it() -> None:
    """It would send the prompt of an execution that is cancelled, whenever that is."""
    for steps in range(1, 20):
        shown = Shown(lambda done: PASTED if done else READY)
        working = typist(shown, "claude-code", screen_file=None)
        seat = seat_of(working, cast("Any", None))
        seat._working = asyncio.create_task(working.work())
        for _ in range(steps):
            await asyncio.sleep(0)
        await seat.halt()
        assert "Enter" not in shown.done[shown.done.index("Escape") :], steps


@pytest.mark.usefixtures("quick")
async def test_a_full_disk_is_told_as_the_reason() -> None:
    """Screens come by files: where none can be written nobody types, and the execution ends."""
    shown = Shown(lambda done: "> ", fault=OSError(errno.ENOSPC, "No space left on device"))
    working = typist(shown)
    await working.work()
    assert working.trouble is not None
    assert "its terminal cannot be worked: [Errno 28] No space left on device" in working.trouble.message
    assert working.follow.stop is Stop.STRANDED


@pytest.mark.usefixtures("quick")
async def test_a_silence_without_an_answer_is_no_end(tmp_path: Path) -> None:
    """A CLI that thinks without drawing anything: its answer is what comes behind that."""
    looks = iter(range(10_000))
    said = "> Say hello.\n\nHello!\n\n> "

    def draw(done: list[str]) -> str:
        if "Enter" not in done:
            return f"> {''.join(done)}"
        return "> " if next(looks) < 3 * QUIET else said

    working = typist(Shown(draw), screen_file=tmp_path / "screen")
    task = asyncio.create_task(working.work())
    while not (tmp_path / "screen").exists():
        await asyncio.sleep(0)
    task.cancel()
    assert (tmp_path / "screen").read_text(encoding="utf-8") == "Hello!\n"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "asked",
    [
        "  Would you like to run this command?\n\n  $ touch made\n\n\u203a 1. Yes (y)\n  2. No (esc)",
        "│ Allow execution of: 'touch made'?  │\n│ \u25cf 1. Yes, allow once  │\n│   2. No  │",
    ],
    ids=["as Codex asks", "as Gemini CLI asks"],
)
async def test_a_question_that_nobody_answers_is_no_answer(tmp_path: Path, asked: str) -> None:
    """It stands still, and nothing was done: that is no success."""
    shown = Shown(lambda done: asked if "Enter" in done else f"> {''.join(done)}")
    working = typist(shown, screen_file=tmp_path / "screen")
    await working.work()
    assert working.trouble is not None
    assert working.trouble.kind is FailureKind.PERMISSION
    assert "touch made" in working.trouble.message
    assert not (tmp_path / "screen").exists()


def test_a_note_of_its_session_that_never_reached_the_disk_keeps_no_broker_from_starting(
    tmp_path: Path,
) -> None:
    """The machine lost its power: then nothing is known of what was typed, and the execution is lost."""
    spool = Spool(tmp_path)
    spool.session.touch()
    seat = seat_of(typist(Shown(lambda done: "")), spool)
    seat.typist = None
    seat.read_by(cast("Any", None))
    lost = Ending(state=State.LOST, kind=FailureKind.LOST)
    assert seat.explain(lost, Stop.ORPHANED, is_final=False).was_typed


async def test_a_last_screen_that_cannot_be_kept_changes_no_end(tmp_path: Path) -> None:
    """How it ended is known without it."""
    spool = Spool(tmp_path)
    spool.screen.symlink_to("/dev/full")
    working = typist(Shown(lambda done: "out of memory"))
    seat = seat_of(working, spool)
    assert await working.last_screen() == [b"out of memory"]
    await seat.leave("its CLI has ended")
    assert spool.screen.is_symlink()


def seat_of(working: Typist, spool: Spool) -> Seat:
    """Where that one types."""
    return Seat(
        workshop=cast("Any", None),
        execution=cast("Any", working.follow.execution),
        spool=spool,
        form=working.looks.form,
        typist=working,
        _terminal=working.looks.terminal,
    )
