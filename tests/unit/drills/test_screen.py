"""What the terminal shows fits it, the latest above all."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from kokino.drills.fleet import Fleet
from kokino.drills.observe import Facts
from kokino.drills.report import Lines, main_parts, print_verdict
from kokino.drills.screen import Screen, fitted
from kokino.drills.story import Missed, Sighting, Step
from kokino.testing.clock import ManualClock

NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
SLO = {
    "current": 0.99496,
    "target": 0.995,
    "breached": True,
    "alertState": "firing",
    "errorBudgetRemaining": 0.0,
}
FACTS = Facts(
    at=NOW,
    availability=SLO,
    fallback={
        "disabledCLIs": [{"cli": "claude-code", "probes": {"good": 2, "wanted": 3}}],
        "pauses": [{"scope": "account", "id": "claude-code:~"}],
    },
    executions=[
        {"agentId": "writer", "cliType": "codex", "state": "completed", "kind": None, "label": None},
        {"agentId": "tester", "cliType": "codex", "state": "failed", "kind": "auth", "label": None},
    ],
)
STEP = Step(id="alert", title="The alert fires", sees=lambda _: None, budget=timedelta(minutes=3))
SEEN = Sighting(at=NOW, text="P1 for us", details=("availability 85 % over 1 h is under 99 %",))


def console(width: int, height: int, *, is_terminal: bool = True) -> tuple[Console, io.StringIO]:
    """A terminal of a size, and what is written on it."""
    written = io.StringIO()
    return Console(
        width=width, height=height, file=written, force_terminal=is_terminal, color_system=None
    ), written


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (160, 50)])
def test_the_picture_fills_the_terminal_and_not_more(width: int, height: int) -> None:
    """After twenty steps too, the last one and all tiles are there."""
    terminal, written = console(width, height)
    fleet = Fleet(home=Path("/nowhere"))
    screen = Screen(terminal, fleet=fleet, clock=ManualClock(NOW), scale=12, address="http://127.0.0.1:1")
    screen.told.seen = [(STEP, SEEN)] * 20
    screen.told.waiting = (Step(id="last", title="The end", sees=lambda _: None, budget=timedelta(0)), NOW)
    screen.told.facts = FACTS

    terminal.print(screen.picture(), end="")

    lines = written.getvalue().splitlines()
    assert len(lines) == height
    assert max(map(len, lines)) == width
    for wanted in (
        "The end",
        "P1 for us",
        "99.49 %",
        "parked, probes 2/3",
        "→ codex ✓",
        "codex ✗ auth",
        "Slack",
    ):
        assert any(wanted in line for line in lines), wanted


@pytest.mark.parametrize(
    ("height", "rows"),
    [
        (9, ["a", "a1", "a2", "b", "b1", "c", "c1"]),
        (7, ["a", "a1", "a2", "b", "b1", "c", "c1"]),
        (6, ["a", "b", "b1", "c", "c1"]),
        (5, ["a", "b", "b1", "c", "c1"]),
        (4, ["b", "b1", "c", "c1"]),
        (3, ["b", "c", "c1"]),
        (1, ["c"]),
    ],
)
def test_the_latest_steps_keep_their_lines(height: int, rows: list[str]) -> None:
    """Earlier ones are cut to their headline first, and leave last."""
    assert fitted([["a", "a1", "a2"], ["b", "b1"], ["c", "c1"]], height) == rows


def test_a_pipe_gets_every_line_uncut() -> None:
    """Programs look for whole sentences."""
    pipe, written = console(40, 10, is_terminal=False)
    Lines(pipe).seen(STEP, SEEN)
    assert "availability 85 % over 1 h is under 99 %\n" in written.getvalue()


def test_a_missed_step_is_named_with_what_was_there_instead() -> None:
    """The verdict says where to look."""
    pipe, written = console(80, 24, is_terminal=False)
    missed = Missed(step=STEP, reason="not seen within its budget of 3 min", instead="no incident")

    print_verdict(pipe, missed, took=timedelta(minutes=9), scale=12)

    assert written.getvalue().splitlines()[1:] == [
        "Missed: alert (The alert fires): not seen within its budget of 3 min",
        "Seen instead: no incident",
    ]


def test_the_main_parts_of_a_review_end_before_its_evidence() -> None:
    """Marks of the broker are left out, and the summary's lines stay apart."""
    document = (
        "# Incident\n\n<!-- kokino:summary 1a -->\n**Date:** today\n**Severity:** P1\n"
        "<!-- /kokino:summary -->\n\n## Root Cause\n\nThe login.\n\n## Evidence\n\nmuch\n"
    )
    assert (
        main_parts(document)
        == "# Incident\n\n**Date:** today  \n**Severity:** P1  \n\n## Root Cause\n\nThe login.\n"
    )
