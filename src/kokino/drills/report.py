"""The story as lines, with its beginning and its end: what a pipe gets, and what stays on a terminal."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from kokino.drills.observe import Facts
from kokino.drills.story import Missed, Sighting, Step

#: The first part of a review document that is too long to be shown here.
EVIDENCE = "## Evidence"
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
#: Style of what is said by the way.
DIM = "grey58"
#: Columns before what was seen: those of a time and a mark.
INDENT = 11


class Lines:
    """Tells the story line by line, each step when it was seen."""

    def __init__(self, console: Console) -> None:
        self._console = console
        #: What was seen at the last look.
        self.facts: Facts | None = None

    def begun(self, step: Step, at: datetime) -> None:
        """Nothing: a line is printed once it is true."""

    def looked(self, facts: Facts) -> None:
        self.facts = facts

    def seen(self, step: Step, sighting: Sighting) -> None:
        if self._console.is_terminal:
            self._console.print(headline(step, sighting), *body(sighting), sep="\n")
        else:
            _print_lines(self._console, *unwrapped(step, sighting))


def headline(step: Step, sighting: Sighting) -> Text:
    """``09:03:00 ✓ The alert fires``."""
    when = (f"{sighting.at:%H:%M:%S} ", DIM)
    return one_line(Text.assemble(when, ("✓ ", "bold green3"), (step.title, "bold")))


def body(sighting: Sighting) -> list[RenderableType]:
    """What was seen, below its headline."""
    lines = [Text(sighting.text), *(Text(f"· {detail}", style=DIM) for detail in sighting.details)]
    return [Padding(line, (0, 0, 0, INDENT)) for line in lines]


def unwrapped(step: Step, sighting: Sighting) -> list[str]:
    """The same as lines of whatever length, for programs."""
    before = " " * INDENT
    details = [f"{before}· {detail}" for detail in sighting.details]
    return [f"{sighting.at:%H:%M:%S} ✓ {step.title}", f"{before}{sighting.text}", *details]


def one_line(text: Text) -> Text:
    """`text` cut where the line ends."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def print_beginning(console: Console, *, url: str, home: Path, scale: float) -> None:
    """What is real, what is not, and where to look."""
    console.print(Text("Kokino demo: a login expires under a working fleet", style="bold"))
    _print_lines(
        console,
        f"The broker at {url} is a real one, with its processes, database, HTTP and playbook.",
        "The agents' answers are scripted; PagerDuty and Slack are receivers on this machine.",
        f"The broker's clock runs {scale:g} times as fast as yours. Its home is {home}",
        "",
    )


def print_review(console: Console, document: str) -> None:
    """The main parts of the review document, as Markdown looks."""
    console.print()
    console.print(Rule("The review document", style=DIM))
    console.print(Padding(Markdown(main_parts(document)), (1, 2)))
    console.print(Rule(style=DIM))


def print_verdict(console: Console, missed: Missed | None, *, took: timedelta, scale: float) -> None:
    """That every step was seen, or which one was not and what was there instead."""
    if missed is None:
        real, virtual = took.total_seconds() / scale, took.total_seconds() / 60
        console.print(Text(f"Every step was seen to happen, in {real:.0f} s.", style="bold green3"))
        _print_lines(console, f"On the broker's clock that was {virtual:.0f} min.")
        return
    said = f"Missed: {missed.step.id} ({missed.step.title}): {missed.reason}"
    console.print()
    console.print(Text(said, style="bold red1"), soft_wrap=not console.is_terminal)
    if missed.instead is not None:
        _print_lines(console, f"Seen instead: {missed.instead}")


def print_home(console: Console, home: Path, *, is_kept: bool) -> None:
    """Where its files are, if they still are."""
    if is_kept:
        _print_lines(console, f"The broker's log: {log_file(home)}", f"Its home is kept: {home}")
    else:
        _print_lines(console, "With --keep its files stay, the whole document with its evidence among them.")


def main_parts(document: str) -> str:
    """A review document down to its evidence, without the marks of what the broker writes itself."""
    shown = _COMMENT.sub("", document.partition(f"\n{EVIDENCE}")[0])
    # Lines such as **Date:** stand below each other in the file; a paragraph would run them together.
    return re.sub(r"^(\*\*\w+:\*\*.*)$", r"\1  ", shown, flags=re.MULTILINE)


def log_file(home: Path) -> Path:
    """Where the broker of a home writes its log, and its playbook looks for it."""
    return home / "broker" / "logs" / "broker.log"


def _print_lines(console: Console, *lines: str) -> None:
    """Between words on a terminal, uncut in a pipe: programs look for whole lines."""
    for line in lines:
        console.print(Text(line), soft_wrap=not console.is_terminal)
