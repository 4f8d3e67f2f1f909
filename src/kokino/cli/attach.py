"""``kokino attach``: watch an agent that is worked in tmux."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Annotated

import typer

from kokino.cli.client import DEFAULT_URL, Url, get
from kokino.errors import KokinoError


def attach(
    agent_id: Annotated[str, typer.Argument(metavar="AGENT", help="The agent's id.")],
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Type into it, too; what the broker types goes between.")
    ] = False,
    print_only: Annotated[
        bool, typer.Option("--print", help="Only print the command that shows it.")
    ] = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Watch an agent's CLI in its terminal, read-only; Ctrl-b d leaves.

    It works on the broker's machine and as its user: the tmux server is the broker's own. Where there is no
    terminal to show it in, the command is printed.
    """
    command = [str(word) for word in get(url, f"/agents/{agent_id}/terminal")["command"]]
    shown = [word for word in command if not (write and word == "-r")]
    if print_only or not sys.stdout.isatty():
        typer.echo(shlex.join(shown))
        return
    # Inside somebody's own tmux it would refuse to be nested, and that server is another one.
    environment = {name: value for name, value in os.environ.items() if name not in {"TMUX", "TMUX_PANE"}}
    try:
        os.execvpe(shown[0], shown, environment)  # noqa: S606 - no shell is meant
    except FileNotFoundError as error:
        raise KokinoError("tmux is not on the PATH here; install it: apt-get install tmux") from error
