"""How ``kokino integrity`` shows what a check, a cleanup and the database's standing are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from kokino.cli.answers import instant
from kokino.cli.terminal import console, counted, plain, table

#: Checks that `stats` shows.
SHOWN = 10
#: What a backup was made for that holds what was wrong then.
FOR_CLEANUP = "cleanup"
HOLDS_FAULTS = "One for a cleanup is from before it, faults and all: rather restore another."
#: Ids that a line names.
NAMED = 3


def show_check(found: Mapping[str, Any]) -> None:
    """What was found, what to do about it, and what could not be looked at."""
    out = console()
    looked = (
        f"{counted(found['conversations'], 'conversation')} and {counted(found['turns'], 'turn')}"
        f" looked at in {_duration(found['durationMs'])}"
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
    if accepted := found["accepted"]:
        apart = "" if found["passed"] else "\n"
        out.print(
            f"{apart}{counted(accepted, 'foreign turn')} accepted: kokino integrity foreign shows them."
        )
    for missed in found["notChecked"]:
        out.print(plain(f"Not checked: {missed}."), style="yellow")


def _show_advice(found: Mapping[str, Any]) -> None:
    out = console()
    if len(found["issues"]) < found["total"]:
        out.print(f"\nThe first {len(found['issues'])} of {found['total']:,} findings.", style="dim")
    # Both keep a cleanup from beginning.
    is_kept_from = found["damaged"] or any(issue["kind"] == "unreadable_value" for issue in found["issues"])
    if any(found["repairable"].values()) and not is_kept_from:
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


def show_stats(found: Mapping[str, Any]) -> None:
    """What there is, the last checks, the next one, and the backups."""
    out = console()
    if found["unread"] is not None:
        out.print(plain(f"The database cannot be read: {found['unread']}."), style="bold red")
    if found["conversations"] is not None:
        out.print(
            f"{counted(found['conversations'], 'conversation')}, {counted(found['turns'], 'turn')};"
            f" {_last(found)}."
        )
    if accepted := found["accepted"]:
        out.print(f"{counted(accepted, 'foreign turn')} accepted: kokino integrity foreign shows them.")
    if found["history"]:
        out.print(Text("\nChecks\n", style="bold"))
        out.print(_history(found["history"][:SHOWN]))
    if (due := found["nextCheckAt"]) is not None:
        out.print(f"\nThe next nightly check: {instant(due)}.")
    if found["backupFolder"] is None:
        out.print("\nThe database is a PostgreSQL server's: back it up with pg_dump.")
        return
    folder = plain(found["backupFolder"])
    if not found["backups"]:
        out.print(f"\nNo backup yet; they go to {folder}", soft_wrap=True)
        return
    out.print(Text("\nBackups\n", style="bold"))
    out.print(_backups(found["backups"]))
    if any(one["why"] == FOR_CLEANUP for one in found["backups"]):
        out.print(f"\n{HOLDS_FAULTS}", style="yellow")
    out.print(f"\nin {folder}", style="dim", soft_wrap=True)


def show_cleanup(done: Mapping[str, Any]) -> None:
    """What was done, or would be, and what stays."""
    out = console()
    for line in _doings(done):
        out.print(line)
    if done["backup"]:
        out.print(plain(f"Backup: {done['backup']}"), soft_wrap=True)
    if done["refused"]:
        out.print(Text("\nLeft alone\n", style="bold"))
        out.print(_refused(done["refused"]))
    if not done["dryRun"] and done["passed"]:
        out.print(Text("The database is whole.", style="bold green"))


def changes(done: Mapping[str, Any]) -> bool:
    """True where a cleanup did, or would do, anything."""
    return bool(done["deleted"] or done["renumbered"] or done["restored"])


def _doings(done: Mapping[str, Any]) -> Iterator[str]:
    if not changes(done):
        yield "Nothing is wrong." if done["passed"] else "There is nothing that a cleanup may put right."
        return
    would = "would be " if done["dryRun"] else ""
    for kind, count in done["deletedByKind"].items():
        yield f"{counted(count, 'row')} {would}deleted: {kind.replace('_', ' ')}"
    if done["renumbered"]:
        yield f"{counted(done['renumbered'], 'turn')} {would}numbered as they were said"
    if done["restored"]:
        yield f"{counted(done['restored'], 'conversation')} {would}inserted again"


def _duration(ms: int) -> str:
    return f"{ms:,} ms" if ms < 1000 else f"{ms / 1000:,.1f} s"


def _last(found: Mapping[str, Any]) -> str:
    last = found["lastCheck"]
    if last is None:
        return "never checked"
    if last["damaged"]:
        return "damaged at the last check"
    return (
        f"{found['affected']:,} with a fault at the last check"
        if found["affected"]
        else ("whole at the last check" if last["passed"] else "faulty at the last check")
    )


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
