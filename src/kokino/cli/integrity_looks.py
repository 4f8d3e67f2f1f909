"""``kokino integrity check`` and ``stats``: of a broker, or without one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from kokino.cli.answers import Format, Written
from kokino.cli.client import DEFAULT_URL, NoBroker, Url, get
from kokino.cli.integrity_shown import show_check, show_stats
from kokino.cli.serve import chosen_home
from kokino.cli.terminal import console
from kokino.clock import SystemClock
from kokino.errors import KokinoError

#: A large database takes its time to look through; seconds.
PATIENCE = 3600.0
#: Checks that `stats` asks for, as the broker does by itself.
HISTORY = 30

Without = Annotated[
    Path | None,
    typer.Option("--home", help="Read this home's database without asking a broker; none needs to run."),
]


def check(home: Without = None, *, format: Written = Format.TABLE, url: Url = DEFAULT_URL) -> None:
    """Look through the whole database and show what is wrong.

    It changes nothing that it looks at, and keeps nobody waiting. The broker at --url writes down what it
    found; the alert on data integrity fires or resolves by that, and when it fires its playbook cleans up by
    itself what may be. With --home this command looks by itself: only reads, and tells nobody else; so does
    cleanup --dry-run, by the broker. Exit code 1 when something is wrong.
    """
    found = _asked(url, "/api/integrity/check", "check") if home is None else _looked(home)
    if format is Format.JSON:
        typer.echo(json.dumps(found, indent=2))
    else:
        show_check(found)
        if home is not None:
            console().print("\nNo broker was asked: nothing was written down, and no alert hears of it.")
    raise typer.Exit(0 if found["passed"] else 1)


def stats(home: Without = None, *, format: Written = Format.TABLE, url: Url = DEFAULT_URL) -> None:
    """Show what there is, the last checks and the backups, without looking anew.

    With --home without a broker too, and though the database is damaged: its backups are listed then.
    """
    found = _asked(url, "/api/integrity/stats", "stats") if home is None else _read(home)
    if format is Format.JSON:
        typer.echo(json.dumps(found, indent=2))
    else:
        show_stats(found)


def _asked(url: str, path: str, command: str) -> Any:
    try:
        return get(url, path, PATIENCE)
    except NoBroker as error:
        raise KokinoError(
            f"{error.message}; or look without one: kokino integrity {command} --home DIR"
        ) from error


def _looked(home: Path) -> Any:
    from kokino.app.inspecting import check as look  # noqa: PLC0415 - loads what no other command needs

    return look(chosen_home(home), os.environ, now=SystemClock().now())


def _read(home: Path) -> Any:
    from kokino.app.inspecting import stats as read  # noqa: PLC0415 - loads what no other command needs

    return read(chosen_home(home), os.environ, limit=HISTORY)
