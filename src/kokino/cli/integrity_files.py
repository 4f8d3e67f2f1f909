"""``kokino integrity backup`` and ``restore``: copies of the database's file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from kokino.cli.answers import Format, Written
from kokino.cli.asking import ask
from kokino.cli.client import DEFAULT_URL, Url, post
from kokino.cli.integrity_looks import PATIENCE
from kokino.cli.serve import Home, chosen_home
from kokino.cli.terminal import console, plain
from kokino.clock import SystemClock


def back_up(
    home: Annotated[
        Path | None,
        typer.Option("--home", help="Back up this home's database without asking a broker; one may run."),
    ] = None,
    *,
    format: Written = Format.TABLE,
    url: Url = DEFAULT_URL,
) -> None:
    """Copy the database while it is in use, check the copy, and print where it is.

    The broker at --url makes it. With --home this command makes it itself, whether a broker runs or not: for
    cron. It is kept for integrity.keep_asked, 90 days. SQLite only.
    """
    if home is None:
        made = post(url, "/api/integrity/backup", PATIENCE)
    else:
        from kokino.app.recovery import back_up as copy  # noqa: PLC0415 - loads what no other command needs

        backup = copy(chosen_home(home), os.environ, now=SystemClock().now())
        made = {"path": str(backup.path), "why": backup.why.value, "sizeBytes": backup.size_bytes}
    typer.echo(json.dumps(made, indent=2) if format is Format.JSON else made["path"])


def restore(
    backup: Annotated[Path, typer.Argument(help="The backup, as `kokino integrity stats` lists it.")],
    home: Home = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Put a backup in the place of the home's database, whose broker must be stopped.

    The backup is checked first; the present file is kept beside it under another name. What was written since
    the backup is in that file alone: what ran then is recorded as lost at the next start, and messages that
    waited then are sent again. SQLite only.
    """
    from kokino.app import recovery  # noqa: PLC0415 - loads what no other command needs

    folder = chosen_home(home)
    chosen = recovery.found_backup(folder, backup.expanduser(), os.environ)
    if not yes:
        recovery.check_backup(chosen)  # nobody is asked about what could not be done
        said = f"The backup is whole. The database of {folder} becomes what it was in {chosen}."
        console().print(plain(said), soft_wrap=True)
    ask("Restore it?", yes=yes, unasked="nothing was restored")
    done = recovery.restore(folder, chosen, os.environ, now=SystemClock().now())
    typer.echo(f"restored {done.path}")
    if done.kept is not None:
        typer.echo(f"kept     {done.kept}")
    typer.echo("Now start the broker, then: kokino integrity check")
