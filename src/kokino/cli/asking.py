"""Ask before something is done that cannot be taken back by a word."""

from __future__ import annotations

import typer

from kokino.errors import KokinoError


def ask(question: str, *, yes: bool, unasked: str) -> None:
    """Return when the answer is yes; `unasked` says what was not done else.

    Raises `KokinoError` when there is nobody who could be asked.
    """
    if yes:
        return
    try:
        is_wanted = typer.confirm(question)
    except typer.Abort as error:
        raise KokinoError(f"{unasked}, for nobody answered: give --yes") from error
    if not is_wanted:
        typer.echo(f"{unasked[0].upper()}{unasked[1:]}.")
        raise typer.Exit(1)
