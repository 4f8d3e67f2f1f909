"""How commands write for people: tables that fit, ages in words, and nobody else's escape codes."""

from __future__ import annotations

import os
from datetime import timedelta

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def console() -> Console:
    """What goes to standard output; without colours where that is no terminal."""
    return Console(highlight=False, markup=False, emoji=False)


def table() -> Table:
    """An empty table in the form that all commands share."""
    return Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )


def page(text: Text) -> None:
    """Show `text` in the user's pager, ``$PAGER`` or less; without colours where ``NO_COLOR`` is set."""
    # As git does: what fits the screen is printed, colours are kept, and the text stays when it is left.
    os.environ.setdefault("LESS", "FRX")
    shown = console()
    with shown.pager(styles=True):
        shown.print(text, soft_wrap=True, end="")


def plain(text: str) -> str:
    """`text` without what a terminal would obey: names and messages come from elsewhere."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def in_words(ms: int) -> str:
    """``7 days``, ``90 minutes``: in the largest unit that tells it whole."""
    seconds = timedelta(milliseconds=ms) // timedelta(seconds=1)
    size, unit = next((one for one in _UNITS if seconds and seconds % one[0] == 0), _UNITS[-1])
    return counted(seconds // size, unit)


def ago(ms: int) -> str:
    """``12 days ago``, ``just now``: in one unit, rounded down."""
    seconds = timedelta(milliseconds=ms) // timedelta(seconds=1)
    found = next((one for one in _UNITS if seconds >= one[0]), None)
    return "just now" if found is None else f"{counted(seconds // found[0], found[1])} ago"


def counted(count: int, noun: str) -> str:
    """``1 session``, ``3 sessions``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
