"""What is known of the screens of CLIs that are read from them alone: recorded turns, what they come to."""

from __future__ import annotations

import pytest

from kokino.agents.drivers.contract import Exit, Outcome, Sight
from kokino.agents.drivers.terminal import gemini
from kokino.agents.drivers.terminal.questions import is_menu_on
from kokino.agents.drivers.terminal.registry import form_of
from kokino.agents.drivers.terminal.screen import ScreenForm, ScreenReader
from kokino.agents.failures import FailureKind
from tests.unit.agents.streams import SAMPLES

CLIS = ("codex", "gemini", "qwen")
ASKED = "Which herons are there?\nLook it up."
LAKES = [f"in lake {number}," for number in range(1, 20)]
#: As each CLI draws Markdown, in a window of 160 columns.
ANSWERS = {
    "codex": f"""\
Two herons:

• a grey one
• a white one

> quoted: usage limit, 429

1. Rest.
2. Fish.

› if it rains: stay

They fish {" ".join(LAKES[:13])}
{" ".join(LAKES[13:])} and in the sea.""",
    "gemini": f"""\
Two herons:

 - a grey one
 - a white one

> quoted: usage limit, 429

 1. Rest.
 2. Fish.

 1 › if it rains: stay

They fish {" ".join(LAKES[:13])}
{" ".join(LAKES[13:])} and in the sea.""",
    "qwen": f"""\
Two herons:

 - a grey one
 - a white one

 │ quoted: usage limit, 429

 1. Rest.
 2. Fish.

 1 › if it rains: stay

They fish {" ".join(LAKES[:12])} in lake
{" ".join(LAKES[12:]).removeprefix("in lake ")} and in the sea.""",
}


def screen(cli: str, name: str) -> str:
    """A screen that was recorded."""
    return (SAMPLES / cli / f"terminal-{name}.screen").read_text(encoding="utf-8").rstrip()


def form(cli: str) -> ScreenForm:
    """How that CLI is worked."""
    found = form_of(cli)
    assert isinstance(found, ScreenForm)
    return found


def reader(cli: str, lines: list[str]) -> ScreenReader:
    """A reader that has those lines for its answer."""
    made = form(cli).reader()
    assert isinstance(made, ScreenReader)
    made.expect(len(lines))
    for line in lines:
        made.stdout(line.encode())
    return made


def outcome(cli: str, shown: str, prompt: str) -> Outcome:
    """What the turn of that prompt comes to, read from all that the screen shows."""
    lines = reader(cli, []).turn(shown.split("\n"), prompt)
    return reader(cli, lines).outcome(Exit(code=0))


@pytest.mark.parametrize("cli", CLIS)
def test_the_answer_has_nothing_of_what_is_drawn_around_it(cli: str) -> None:
    """No mark, no hint, no box, no tool call; what it quotes of prompts, menus and failures stays."""
    told = outcome(cli, screen(cli, "answer"), ASKED)
    assert (told.kind, told.error) == (None, None)
    assert told.content == ANSWERS[cli]


@pytest.mark.parametrize(
    ("cli", "words"),
    [
        ("codex", "Conversation interrupted - use /feedback if something went wrong"),
        ("gemini", "Request cancelled."),
        ("qwen", "Request cancelled."),
    ],
)
def test_a_turn_that_a_key_stopped_is_no_answer(cli: str, words: str) -> None:
    """Also where something had been said before; an answer that quotes the words is one."""
    shown = screen(cli, "stopped")
    for prompt in ("Where do they sleep?", ASKED):
        told = outcome(cli, shown, prompt)
        assert (told.kind, told.error) == (FailureKind.CANCELLED, words)
    quoting = screen(cli, "answer").replace("if it rains: stay", words)
    assert outcome(cli, quoting, ASKED).kind is None


@pytest.mark.parametrize("cli", CLIS)
def test_a_failure_is_known_by_its_mark(cli: str) -> None:
    """By its sentence its kind is; in other words it is a failure all the same."""
    shown, prompt = screen(cli, "failed"), "What do they eat?"
    told = outcome(cli, shown, prompt)
    assert told.kind is FailureKind.AUTH
    assert "401" in str(told.error)
    failed = next(line for line in reversed(shown.split("\n")) if "no such key" in line)
    mark = failed[: len(failed) - len(failed.lstrip("■✕ "))]
    told = outcome(cli, shown.replace(failed, f"{mark}it rains"), prompt)
    assert (told.kind, told.error) == (FailureKind.UNKNOWN, "it rains")


@pytest.mark.parametrize("cli", CLIS)
@pytest.mark.parametrize(
    ("name", "sight"),
    [("answer", Sight.READY), ("stopped", Sight.READY), ("working", Sight.WORKING), ("menu", Sight.HOPELESS)],
)
def test_a_screen_tells_whether_it_works_or_waits(cli: str, name: str, sight: Sight) -> None:
    """What was said may ask and offer what it likes: its box is beneath. A menu has none."""
    shown = screen(cli, name)
    assert form(cli).look(shown).sight is sight
    assert is_menu_on(shown) is (name == "menu")
    asking = shown.replace("if it rains: stay", "Do you want me to log in? Press enter to continue")
    assert form(cli).look(asking).sight is sight


@pytest.mark.parametrize("cli", CLIS)
def test_a_turn_has_ended_early_when_something_was_said(cli: str) -> None:
    """A prompt that stands there alone is none: it has yet to begin."""
    shown = screen(cli, "answer").split("\n")
    made = reader(cli, [])
    assert made.tells_end(made.turn(shown, ASKED))
    assert made.tells_end(made.turn(screen(cli, "stopped").split("\n"), "Where do they sleep?"))
    assert not made.tells_end([line for line in shown if "herons are there" in line])


def test_codex_names_its_session_when_it_is_left() -> None:
    """From then on it can be resumed; before, nobody knows what to resume."""
    made = reader("codex", ["• Done."])
    assert not made.outcome(Exit(code=0)).session_is_alive
    assert not made.left(["  codex resume 00000000-0000-0000-0000-000000000000", "", "and", "much", "more"])
    assert made.session_id is None
    named = "01a21c75-3f75-7213-ad12-9d78932efe9b"
    assert made.left(["To continue this session, run:", f"  codex resume {named}", "^C", ""])
    assert made.session_id == named
    assert made.outcome(Exit(code=0)).session_is_alive


def test_a_version_that_draws_otherwise_is_read_as_before() -> None:
    """All that came to the screen is the answer, then."""
    assert outcome("codex", "Answer: done.\n  twice", "Do it.").content == "Answer: done.\n  twice"


def test_a_dash_that_a_wrap_puts_at_the_edge_belongs_to_the_answer() -> None:
    """Gemini CLI marks tool calls that wait or were refused with signs that text has, too."""
    shown = [" > Say.", "✦ They fish in lakes", "  - and in the sea,", "  x times a day", "  ? or never."]
    told = gemini.LAYOUT.read([*shown, "  -  Shell  ls", "    not run"])
    assert told.answer == "They fish in lakes\n- and in the sea,\nx times a day\n? or never."
    assert told.behind == ["  -  Shell  ls", "    not run"]
