"""``kokino integrity cleanup``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from kokino.cli.answers import Format, Written
from kokino.cli.asking import ask
from kokino.cli.client import DEFAULT_URL, Url, post
from kokino.cli.integrity_looks import PATIENCE
from kokino.cli.integrity_shown import changes, show_cleanup
from kokino.cli.terminal import console
from kokino.errors import KokinoError


def cleanup(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only look, and show what would be done; no alert hears of it.")
    ] = False,
    backup: Annotated[
        str | None,
        typer.Option("--backup", help="PostgreSQL: where the backup is that you have just made."),
    ] = None,
    max_delete: Annotated[
        int | None,
        typer.Option("--max-delete", min=0, help="How many rows may go, where it is more than goes unasked."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    format: Written = Format.TABLE,
    url: Url = DEFAULT_URL,
) -> None:
    """Put right what can be put right in one way only, after a backup and after asking.

    Conversations of which executions still tell are inserted again. Other orphaned turns and doubled ones are
    deleted, turns out of order are numbered anew where their times and executions agree; everything that is
    deleted is in the backup. More than a hundred rows, or a hundredth of all turns, go only when you saw
    how many, or by --max-delete. All else stays, with the reason. A damaged file is never touched: restore a
    backup. Exit code 1 when something stays wrong, or the answer was no.
    """
    if format is Format.JSON:
        if not (dry_run or yes):
            raise KokinoError("--format json asks nobody: give --yes, or --dry-run to look first")
        done = _clean(url, dry_run=dry_run, backup=backup, max_delete=max_delete)
        typer.echo(json.dumps(done, indent=2))
        raise typer.Exit(0 if done["passed"] else 1)
    if dry_run or not yes:
        found = _clean(url, dry_run=True, backup=backup)
        show_cleanup(found)
        max_delete = found["deleted"] if max_delete is None else max_delete
        if dry_run or not changes(found):
            if not found["passed"]:
                console().print(f"\n{_unchanged(found, is_dry_run=dry_run)}")
            raise typer.Exit(0 if found["passed"] else 1)
        ask("\nBack up and clean up?", yes=yes, unasked="nothing was cleaned up")
    done = _clean(url, dry_run=False, backup=backup, max_delete=max_delete)
    show_cleanup(done)
    raise typer.Exit(0 if done["passed"] else 1)


def _unchanged(found: Mapping[str, Any], *, is_dry_run: bool) -> str:
    if is_dry_run and changes(found):
        return "This was a dry run: nothing was changed. kokino integrity cleanup does it, after a backup."
    return "Nothing was changed."


def _clean(url: str, *, dry_run: bool, backup: str | None, max_delete: int | None = None) -> Any:
    asked = {"dryRun": dry_run, "backup": backup, "maxDelete": max_delete}
    return post(url, "/api/integrity/cleanup", PATIENCE, **asked)
