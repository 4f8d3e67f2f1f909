"""``kokino diff``: what an execution changed, to look at it or to undo it."""

from __future__ import annotations

import sys
from typing import Annotated
from urllib.parse import quote

import typer
from rich.text import Text

from kokino.cli.client import DEFAULT_URL, Url, content
from kokino.cli.terminal import page, plain

#: How a line of a patch is shown, by what it begins with; the first that fits. As git shows them.
STYLES = (
    (("diff ", "index ", "--- ", "+++ ", "new file", "deleted file", "old mode", "new mode"), "bold"),
    (("@@",), "cyan"),
    (("+",), "green"),
    (("-",), "red"),
)


def diff(
    execution: Annotated[str, typer.Argument(help="The execution: exec-3f2a...")],
    *,
    reverse: Annotated[bool, typer.Option("--reverse", "-R", help="The patch that undoes it.")] = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Print what an execution changed in its git repository, as a patch.

    Into a pipe it goes byte for byte. To undo a failed run, at the top of its repository:

    kokino diff EXECUTION --reverse | git apply
    """
    patch = content(url, f"/executions/{quote(execution, safe='')}/diff", reverse=str(reverse).lower())
    if not patch:
        typer.echo(f"{execution} changed no file.", err=True)
    elif sys.stdout.isatty():
        page(shown(patch))
    else:
        typer.echo(patch, nl=False)


def shown(patch: bytes) -> Text:
    """`patch` for a terminal: coloured, and without what a file in it would make the terminal do."""
    # Not at other ends of lines that Python knows: a form feed in a file begins no line of a patch.
    return Text("\n").join(_line(line) for line in patch.decode("utf-8", "replace").split("\n"))


def _line(line: str) -> Text:
    style = next((style for beginnings, style in STYLES if line.startswith(beginnings)), "")
    return Text(plain(line.expandtabs()), style)
