"""``kokino attach``: watch an agent that is worked in tmux."""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from kokino.cli.client import DEFAULT_URL, Url, get
from kokino.cli.terminal import plain
from kokino.errors import KokinoError

#: What the broker's tmux calls a session.
SESSION = re.compile(r"\$\d+")
#: An absolute path that a terminal can be shown.
SOCKET = re.compile(r"/[^\x00-\x1f\x7f-\x9f]+")


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
    found = get(url, f"/agents/{agent_id}/terminal")
    shown = command_of(found, write=write)
    if notice := notice_of(found):
        typer.echo(notice, err=True)
    if print_only or not sys.stdout.isatty():
        typer.echo(shlex.join(shown))
        return
    require_own(Path(shown[2]))
    # Inside somebody's own tmux it would refuse to be nested, and that server is another one.
    environment = {name: value for name, value in os.environ.items() if name not in {"TMUX", "TMUX_PANE"}}
    try:
        os.execvpe(shown[0], shown, environment)  # noqa: S606 - no shell is meant
    except FileNotFoundError as error:
        raise KokinoError("tmux is not on the PATH here; install it: apt-get install tmux") from error


def command_of(answer: Any, *, write: bool) -> list[str]:
    """What shows the terminal that the broker names.

    Put together here, never taken over: whoever answers at that address must not choose what is run.
    """
    told = answer if isinstance(answer, dict) else {}
    socket, session = str(told.get("socket")), str(told.get("session"))
    if not SOCKET.fullmatch(socket) or not SESSION.fullmatch(session):
        raise KokinoError(
            f"what answers names no terminal of a broker (socket {socket!r}, session {session!r}):"
            " look at --url, and whether both sides are the same version"
        )
    return ["tmux", "-S", socket, "attach-session", *([] if write else ["-r"]), "-t", session]


def notice_of(told: Any) -> str | None:
    """That no CLI runs in it any more, and how the last one ended; None while one does."""
    if told.get("running", True):
        return None
    if told.get("endedAt") is None:
        next_ = " The next try of its execution begins soon." if told.get("state") == "running" else ""
        return f"No CLI runs in it now.{next_}"
    state, kind = str(told["state"]), str(told["kind"] or told["state"])
    how = state if kind == state else f"{state} ({kind})"
    said = f"{told['executionId']} ended at {told['endedAt']}: {how}. You see its last screen."
    return plain(f"No CLI runs in it now. {said}")


def require_own(socket: Path) -> None:
    """Raise where nobody listens here, or somebody else: a tmux server is handed the terminal itself."""
    try:
        found = socket.stat()
    except OSError as error:
        raise KokinoError(
            f"there is no tmux server at {socket}: this works on the broker's machine and as its user"
        ) from error
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
        raise KokinoError(f"{socket} is no socket of yours: this works as the broker's user")
