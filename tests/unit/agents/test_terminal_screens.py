"""What the screens of CLIs in a terminal mean: Claude Code's, and those of which nothing is known."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from kokino.agents.drivers.contract import Exit, Interactive, Sight
from kokino.agents.drivers.registry import CLIS
from kokino.agents.drivers.terminal.boxes import MARK, below_box, box_in
from kokino.agents.drivers.terminal.claude_code import ClaudeCodeTerminal
from kokino.agents.drivers.terminal.questions import is_menu_on
from kokino.agents.drivers.terminal.registry import form_of
from kokino.agents.drivers.terminal.screen import ScreenReader, new_lines
from kokino.agents.failures import FailureKind

RULE = "─" * 100
HINTS = "  ? for shortcuts · ← for agents                    ● high · /effort"


def box(text: str = "", hints: str = HINTS) -> str:
    """An input box as Claude Code 2.1.197 draws it."""
    return f"{RULE}\n{MARK} {text}\n{RULE}\n{hints}"


TRUST = f"""{RULE}
 Accessing workspace:

 /work

 Quick safety check: Is this a project you created or one you trust?

 {MARK} 1. Yes, I trust this folder
   2. No, exit

 Enter to confirm · Esc to cancel"""
API_KEY = f"""{RULE}
  Detected a custom API key in your environment
  ANTHROPIC_API_KEY: sk-ant-...0000
  Do you want to use this API key?
    1. Yes
  {MARK} 2. No (recommended)
  Enter to confirm · Esc to cancel"""
BASH = f"""{MARK} use a tool
● Bash(touch made)
  ⎿  Waiting…
{RULE}
 Bash command
   touch made
   d
 Do you want to proceed?
 {MARK} 1. Yes
   2. Yes, and always allow access to work/ from this project
   3. No
 Esc to cancel · Tab to amend · ctrl+e to explain"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A screen, and what it is."""

    why: str
    screen: str
    sight: Sight
    box: str | None = None
    keys: tuple[str, ...] = ()
    kind: FailureKind | None = None


CASES = [
    Case(why="an empty box waits for a prompt", screen=box(), sight=Sight.READY, box=""),
    Case(why="what was pasted stands in it", screen=box("one\n  two"), sight=Sight.READY, box="one\ntwo"),
    Case(
        why="what was said before stands above it",
        screen=f"{MARK} hello\n● Hi.\n{RULE}\n● a rule of its own\n{box()}",
        sight=Sight.READY,
        box="",
    ),
    Case(
        why="while it works there is a box, too",
        screen=f"✻ Cooking…\n{box(hints='  esc to interrupt')}",
        sight=Sight.WORKING,
        box="",
    ),
    Case(why="it asks whether the folder is trusted", screen=TRUST, sight=Sight.DIALOG, keys=("1",)),
    Case(why="it asks for the key's use", screen=API_KEY, sight=Sight.DIALOG, keys=("1",)),
    Case(why="a tool asks", screen=BASH, sight=Sight.ASKING),
    *(
        Case(why=f"a tool asks, and {where} stands {said!r}", screen=screen, sight=Sight.ASKING)
        for said in ("Press Enter to continue", "Select login method", "Do you want to use this API key?")
        for where, screen in (
            ("above it", f"{said}\n{BASH}"),
            ("in its command", BASH.replace("touch made", f"echo '{said}'")),
        )
    ),
    Case(why="a tool asks below what was drawn like a box", screen=f"{box()}\n{BASH}", sight=Sight.ASKING),
    Case(
        why="what has scrolled up is no dialog any more",
        screen="\n".join(["Press Enter to continue", *["● said"] * 30]),
        sight=Sight.UNCLEAR,
    ),
    Case(
        why="nobody can log in here but a person",
        screen="Select login method:\n 1. Claude account",
        sight=Sight.HOPELESS,
        kind=FailureKind.AUTH,
    ),
    Case(why="nothing is drawn yet", screen="", sight=Sight.UNCLEAR),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_a_screen_of_claude_code(case: Case) -> None:
    """Ready, at work, or asking something."""
    look = ClaudeCodeTerminal().look(case.screen)
    assert (look.sight, look.box, look.keys, look.kind) == (case.sight, case.box, case.keys, case.kind)


def test_what_was_pasted_asks_nothing() -> None:
    """A prompt may quote a tool's question: below the box there is none."""
    assert ClaudeCodeTerminal().look(box(BASH)).sight is Sight.READY


def test_a_tools_question_has_its_answers_by_their_keys() -> None:
    """Whoever answers reads what it is about, and each answer's meaning."""
    asked = ClaudeCodeTerminal().look(BASH).asks
    assert asked is not None
    assert asked.title == "Bash command touch made d Do you want to proceed?"
    assert [(option.id, option.kind) for option in asked.options] == [
        ("1", "allow_once"),
        ("2", "allow_always"),
        ("3", "reject_once"),
    ]


def test_what_is_printed_below_the_box_is_told_apart() -> None:
    """A program that dies says why beneath what it had drawn."""
    lines = [*box("typed").split("\n"), "fatal: no heap"]
    assert list(below_box(lines)) == ["fatal: no heap"]
    assert below_box(["no", "box"]) == ["no", "box"]
    assert box_in("") is None


BEFORE = ("Some CLI 1.0", "", "╭────╮", "│ > type here │", "╰────╯", "model: x", "", "", "")
TYPED = (*BEFORE[:3], "│ > add it │", *BEFORE[4:])
#: A screen that is not full has fewer empty lines below when something came to it.
BOTTOM = BEFORE[2:7]


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (("Some CLI 1.0", "", "> add it", "", "Done.", "  twice", "", *BOTTOM), ["Done.", "  twice"]),
        (("Some CLI 1.0", "", "Done.", *BEFORE[2:5], "model: y"), ["Done.", *BEFORE[2:5], "model: y"]),
        (("Some CLI 1.0", "", "> add it", "", "Done.", "", *TYPED[2:]), ["Done."]),
        (BEFORE, []),
        (("Some CLI 1.0", "", "> add it", "│ >", *BOTTOM), []),
    ],
    ids=[
        "between what stood there before",
        "a bottom line that changes stays",
        "a box that keeps what was typed",
        "nothing came",
        "nothing but the prompt and an empty box",
    ],
)
def test_the_answer_is_what_came_to_the_screen(after: tuple[str, ...], told: list[str]) -> None:
    """Without the frame, the box and the prompt that was sent."""
    assert new_lines(BEFORE, TYPED, after, "add it\n") == told


@pytest.mark.parametrize(
    ("screen", "is_menu"),
    [
        ("Proceed?\n\u203a 1. Yes\n  2. No", True),
        ("\u2022 1. First do this.\n  2. Then that. Would you like to go on?\n\n> ", False),
        ("> 1. a list that was quoted\n> 2. with its marks", False),
        ("\n".join(["\u203a 1. Yes", "  2. No", *["said later"] * 20]), False),
    ],
    ids=["one answer is marked", "a list behind a bullet", "a quotation", "what was chosen long ago"],
)
def test_a_choice_is_told_from_an_answer(screen: str, is_menu: bool) -> None:
    """Lists and questions are answers, too."""
    assert is_menu_on(screen) is is_menu


def test_a_screen_reader_is_done_when_all_lines_are_in() -> None:
    """Success is that it became quiet with something said."""
    reader = ScreenReader(keeps_session=False)
    reader.expect(2)
    reader.stdout(b"Done.")
    assert not reader.is_final
    reader.stdout(b"  twice")
    assert reader.is_final
    outcome = reader.outcome(Exit(code=0))
    assert (outcome.kind, outcome.content, outcome.session_is_alive) == (None, "Done.\n  twice", False)


@pytest.mark.parametrize(
    ("driver", "shown", "kind"),
    [
        ("codex", ["\u25a0 You've hit your usage limit. Upgrade to Pro."], FailureKind.QUOTA),
        ("codex", ["\u25a0 unexpected", "status 401 Unauthorized"], FailureKind.AUTH),
        (
            "gemini",
            ["│ \u2715 [API Error: API key not", "│ valid. Please pass another one."],
            FailureKind.AUTH,
        ),
        ("qwen", ["\u2715 [API Error: 429 slow down]"], FailureKind.RATE_LIMIT),
        ("opencode", ["Insufficient balance"], FailureKind.QUOTA),
        ("factory-droid", ["500 lines were changed."], None),
        ("gemini", ["I have added the retries."], None),
    ],
)
def test_a_failure_that_a_screen_shows_is_no_answer(
    driver: str, shown: list[str], kind: FailureKind | None
) -> None:
    """It is known by the sentences of its own driver."""
    form = form_of(driver)
    assert form is not None
    reader = form.reader(None)
    assert isinstance(reader, ScreenReader)
    reader.expect(len(shown))
    for line in shown:
        reader.stdout(line.encode())
    outcome = reader.outcome(Exit(code=0))
    assert outcome.kind is kind
    assert (outcome.error is None) == (kind is None)


def test_a_screen_that_says_nothing_is_a_failure() -> None:
    """The end of a CLI that was never quiet is told by its exit and its last words."""
    reader = ScreenReader()
    reader.stderr(b"Error: no such model")
    outcome = reader.outcome(Exit(code=1))
    assert (outcome.kind, outcome.error) == (FailureKind.CRASH, "Error: no such model")


@pytest.mark.parametrize("driver", [driver.name for driver in CLIS])
def test_every_cli_can_be_worked_in_a_terminal(driver: str) -> None:
    """All but what speaks a protocol, which no person does."""
    form: Interactive | None = form_of(driver)
    assert form is not None
    assert form.quit
    assert form_of("acp") is None


@pytest.mark.parametrize(
    "screen",
    [
        "Tips for getting started:\n1. Ask questions, edit files.\n2. /help\n\n> Type your message",
        ">_ OpenAI Codex (v0.169.0)\nmodel: gpt-5  /model to change\n\n\u203a Explain this codebase",
        "Authenticated with gemini-api-key /auth\n> \nno sandbox",
        'Droid 0.215\n  /login, /settings\n> Try "fix the build"',
    ],
)
def test_a_prompt_to_type_at_is_no_question(screen: str) -> None:
    """Tips, hints and a mark before the box are what CLIs show that wait for a prompt."""
    form = form_of("gemini")
    assert form is not None
    assert form.look(screen).sight is Sight.UNCLEAR
