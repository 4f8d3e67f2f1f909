"""``kokino integrity``: whether the database is whole, what puts it right, and its backups."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from kokino.cli.answers import Format, Written, instant
from kokino.cli.client import DEFAULT_URL, Url, get, post
from kokino.cli.commands import Command, Group
from kokino.cli.serve import Home, chosen_home
from kokino.cli.terminal import console, counted, plain, table
from kokino.clock import SystemClock
from kokino.errors import KokinoError

app = typer.Typer(
    cls=Group, help="Check the database, clean it up, back it up, restore it.", no_args_is_help=True
)

#: A large database takes its time to look through; seconds.
PATIENCE = 3600.0
#: Checks that `stats` shows.
SHOWN = 10
#: Ids that a line names.
NAMED = 3

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("check", cls=Command)
def check(format: Written = Format.TABLE, url: Url = DEFAULT_URL) -> None:
    """Look through the whole database and show what is wrong.

    It changes nothing that it looks at, and keeps nobody waiting. It writes down what it found; the alert on
    data integrity fires or resolves by that. Exit code 1 when something is wrong.
    """
    found = get(url, "/api/integrity/check", PATIENCE)
    if format is Format.JSON:
        typer.echo(json.dumps(found, indent=2))
    else:
        _show_check(found)
    raise typer.Exit(0 if found["passed"] else 1)


@app.command("stats", cls=Command)
def stats(format: Written = Format.TABLE, url: Url = DEFAULT_URL) -> None:
    """Show what there is, the last checks and the backups, without looking anew."""
    found = get(url, "/api/integrity/stats")
    if format is Format.JSON:
        typer.echo(json.dumps(found, indent=2))
        return
    out = console()
    out.print(
        f"{counted(found['conversations'], 'conversation')}, {counted(found['turns'], 'turn')};"
        f" {found['affected']:,} with a fault at the last check."
    )
    if found["history"]:
        out.print(Text("\nChecks\n", style="bold"))
        out.print(_history(found["history"][:SHOWN]))
    due = found["nextCheckAt"]
    out.print(f"\nNext nightly check: {'switched off' if due is None else instant(due)}.")
    if found["backupFolder"] is None:
        out.print("The database is a PostgreSQL server's: back it up with pg_dump.")
    else:
        out.print(Text("\nBackups\n", style="bold"))
        out.print(_backups(found["backups"]) if found["backups"] else "None yet.")
        out.print("\nin " + plain(found["backupFolder"]), style="dim", soft_wrap=True)


@app.command("cleanup", cls=Command)
def cleanup(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    backup: Annotated[
        str | None,
        typer.Option("--backup", help="PostgreSQL: where the backup is that you have just made."),
    ] = None,
    max_delete: Annotated[
        int | None,
        typer.Option("--max-delete", min=0, help="How many rows may go, where it is more than goes unasked."),
    ] = None,
    yes: Yes = False,
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
    if not yes or dry_run:
        found = _clean(url, dry_run=True, backup=backup)
        _show_cleanup(found)
        max_delete = found["deleted"] if max_delete is None else max_delete
        if dry_run or not (found["deleted"] or found["renumbered"] or found["restored"]):
            typer.echo("\nNothing was changed.")
            raise typer.Exit(0 if found["passed"] else 1)
        _ask("\nBack up and clean up?", yes=yes, unasked="nothing was cleaned up")
    found = _clean(url, dry_run=False, backup=backup, max_delete=max_delete)
    _show_cleanup(found)
    raise typer.Exit(0 if found["passed"] else 1)


@app.command("backup", cls=Command)
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


@app.command("restore", cls=Command)
def restore(
    backup: Annotated[Path, typer.Argument(help="The backup, as `kokino integrity stats` lists it.")],
    home: Home = None,
    *,
    yes: Yes = False,
) -> None:
    """Put a backup in the place of the home's database, whose broker must be stopped.

    The backup is checked first; the present file is kept beside it under another name. What was written since
    the backup is in that file alone: what ran then is recorded as lost at the next start, and messages that
    waited then are sent again. SQLite only.
    """
    from kokino.app.recovery import restore as put  # noqa: PLC0415 - loads what no other command needs

    folder = chosen_home(home)
    if not yes:
        console().print(plain(f"The database of {folder} becomes what it was in {backup}."), soft_wrap=True)
    _ask("Restore it?", yes=yes, unasked="nothing was restored")
    done = put(folder, backup.expanduser(), os.environ, now=SystemClock().now())
    typer.echo(f"restored {done.path}")
    if done.kept is not None:
        typer.echo(f"kept     {done.kept}")
    typer.echo("Now start the broker, then: kokino integrity check")


def _clean(url: str, *, dry_run: bool, backup: str | None, max_delete: int | None = None) -> Any:
    asked = {"dryRun": dry_run, "backup": backup, "maxDelete": max_delete}
    return post(url, "/api/integrity/cleanup", PATIENCE, **asked)


def _ask(question: str, *, yes: bool, unasked: str) -> None:
    """Return when the answer is yes. Raises `KokinoError` when there is nobody who could be asked."""
    if yes:
        return
    try:
        is_wanted = typer.confirm(question)
    except typer.Abort as error:
        raise KokinoError(f"{unasked}, for nobody answered: give --yes") from error
    if not is_wanted:
        typer.echo(f"{unasked[0].upper()}{unasked[1:]}.")
        raise typer.Exit(1)


def _show_check(found: Mapping[str, Any]) -> None:
    out = console()
    looked = (
        f"{counted(found['conversations'], 'conversation')} and {counted(found['turns'], 'turn')}"
        f" looked at in {found['durationMs'] / 1000:.1f} s"
    )
    if found["passed"]:
        out.print(Text("Whole", style="bold green") + Text(f": {looked}, nothing is wrong."))
    else:
        word = "Damaged" if found["damaged"] else "Faulty"
        said = (
            f": {counted(found['total'], 'finding')}, {counted(found['affected'], 'conversation')} affected;"
        )
        out.print(Text(word, style="bold red") + Text(f"{said} {looked}."))
        out.print()
        out.print(_issues(found["issues"]))
        _show_advice(found)
    for missed in found["notChecked"]:
        out.print(plain(f"Not checked: {missed}."), style="yellow")


def _show_advice(found: Mapping[str, Any]) -> None:
    out = console()
    if len(found["issues"]) < found["total"]:
        out.print(f"\nThe first {len(found['issues'])} of {found['total']:,} findings.", style="dim")
    if any(found["repairable"].values()) and not found["damaged"]:
        out.print("\nkokino integrity cleanup --dry-run shows what can be put right.")


def _issues(issues: Sequence[Mapping[str, Any]]) -> Table:
    shown = table()
    shown.add_column("Fault", no_wrap=True)
    shown.add_column("Rows", justify="right", no_wrap=True)
    shown.add_column("What, and what to do", overflow="fold", ratio=1)
    for issue in issues:
        more = ", …" if issue["count"] > NAMED else ""
        ids = f" ({', '.join(issue['ids'][:NAMED])}{more})" if issue["ids"] else ""
        told = Text(plain(f"{issue['message']}{ids}"))
        told.append("\n→ " + plain(issue["mend"]), style="green" if issue["repairable"] else "yellow")
        shown.add_row(plain(issue["kind"].replace("_", " ")), f"{issue['count']:,}", told)
    return shown


def _show_cleanup(done: Mapping[str, Any]) -> None:
    out = console()
    would = "would be " if done["dryRun"] else ""
    for kind, count in done["deletedByKind"].items():
        out.print(f"{counted(count, 'row')} {would}deleted: {kind.replace('_', ' ')}")
    if done["renumbered"]:
        out.print(f"{counted(done['renumbered'], 'turn')} {would}numbered as they were said")
    if done["restored"]:
        out.print(f"{counted(done['restored'], 'conversation')} {would}inserted again")
    if not (done["deleted"] or done["renumbered"] or done["restored"]):
        out.print(
            "There is nothing that a cleanup may put right." if done["refused"] else "Nothing is wrong."
        )
    if done["backup"]:
        out.print(plain(f"Backup: {done['backup']}"), soft_wrap=True)
    if done["refused"]:
        out.print(Text("\nLeft alone\n", style="bold"))
        out.print(_refused(done["refused"]))
    if not done["dryRun"] and done["passed"]:
        out.print(Text("The database is whole.", style="bold green"))


def _refused(refused: Sequence[Mapping[str, Any]]) -> Table:
    shown = table()
    shown.add_column("Fault", no_wrap=True)
    shown.add_column("What, and why", overflow="fold", ratio=1)
    for one in refused:
        told = Text(plain(one["message"]))
        told.append("\n→ " + plain(one["reason"]), style="yellow")
        shown.add_row(plain(one["kind"].replace("_", " ")), told)
    return shown


def _history(history: Sequence[Mapping[str, Any]]) -> Table:
    shown = table()
    shown.add_column("When", no_wrap=True)
    shown.add_column("For", no_wrap=True)
    for name in ("Conversations", "Affected", "Findings"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for one in history:
        word, style = ("whole", "green") if one["passed"] else ("faulty", "bold red")
        shown.add_row(
            instant(one["timestamp"]),
            one["trigger"],
            f"{one['conversations']:,}",
            f"{one['affected']:,}",
            f"{one['total']:,}",
            Text("damaged" if one["damaged"] else word, style=style),
        )
    return shown


def _backups(backups: Sequence[Mapping[str, Any]]) -> Table:
    shown = table()
    shown.add_column("When", no_wrap=True)
    shown.add_column("For", no_wrap=True)
    shown.add_column("Size", justify="right", no_wrap=True)
    shown.add_column("File", overflow="fold")
    for one in backups:
        size = f"{one['sizeBytes'] / 1e6:,.1f} MB"
        shown.add_row(instant(one["timestamp"]), one["why"], size, plain(Path(one["path"]).name))
    return shown
