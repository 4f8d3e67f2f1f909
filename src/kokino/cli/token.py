"""``kokino token``: make a token for somebody who asks from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kokino.cli.serve import chosen_home
from kokino.cli.words import parsed_length
from kokino.clock import SystemClock
from kokino.errors import KokinoError
from kokino.tokens import Scope, Tokens


def token(
    subject: Annotated[str, typer.Argument(help="Whose it is: what logs and timelines call the bearer.")],
    scope: Annotated[
        list[Scope] | None, typer.Option("--scope", help="What it allows; may be given again.")
    ] = None,
    lasts: Annotated[str, typer.Option("--lasts", help="How long: 8h, 30d.")] = "30d",
    home: Annotated[
        Path | None, typer.Option("--home", help="Home of the broker that shall accept it.")
    ] = None,
) -> None:
    """Print a token that the broker of this home accepts. Only a user who can read its key can make one."""
    ends_at = SystemClock().now() + parsed_length("--lasts", lasts)
    key = chosen_home(home) / "broker" / "token.key"
    if not key.exists():
        raise KokinoError(f"{key} does not exist: start a broker with this home once, it makes the key")
    wanted = scope or [Scope.READ, Scope.RUN, Scope.OPERATE]
    typer.echo(Tokens.open(key).mint(subject, wanted, ends_at=ends_at))
