"""``kokino integrity foreign``, ``accept`` and ``remove``: turns that no execution accounts for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from kokino.cli.answers import Format, Written, instant
from kokino.cli.asking import ask
from kokino.cli.client import DEFAULT_URL, Url, pages, post
from kokino.cli.integrity_looks import PATIENCE
from kokino.cli.terminal import console, counted, plain, table
from kokino.errors import KokinoError

PATH = "/api/integrity/foreign-turns"
#: Turns that are shown before a question about all of them.
SHOWN = 20
#: Characters of what was said that are shown.
SAID = 200

Turns = Annotated[
    list[str] | None,
    typer.Argument(metavar="TURN", help="Ids, as `kokino integrity foreign` lists them."),
]
Everything = Annotated[bool, typer.Option("--all", help="All that nobody accepted.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; it is kept with the decision.")]
By = Annotated[str | None, typer.Option("--by", help="Who decides.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def show(format: Written = Format.TABLE, url: Url = DEFAULT_URL) -> None:
    """Show the turns that no execution accounts for, and how what they say begins.

    Their execution is not there, or ran for another agent. They may be the only record of what was said, so
    no cleanup touches them: `kokino integrity accept` takes them as they are, `kokino integrity remove`
    deletes them.
    """
    found = _all(url)
    if format is Format.JSON:
        typer.echo(json.dumps(found, indent=2))
    elif not found:
        typer.echo("There are no foreign turns: an execution accounts for each.")
    else:
        console().print(_table(found))
        _advise(found)


def accept(
    turns: Turns = None,
    *,
    everything: Everything = False,
    reason: Reason,
    by: By = None,
    yes: Yes = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Take foreign turns as they are: no check counts them any more.

    Who accepted them, when and why is kept. A check follows, and the alert resolves when it finds nothing
    else. Exit code 1 when something stays wrong, or the answer was no.
    """
    meant = _not_yet(_meant(url, turns or [], everything=everything))
    if not meant:
        return
    _show_meant(meant, yes=yes)
    ask(f"\nAccept {_them(meant)}?", yes=yes, unasked="nothing was accepted")
    done = post(url, f"{PATH}/accept", PATIENCE, **_body(meant, turns, reason, by))
    typer.echo(f"{counted(done['turns'], 'foreign turn')} accepted.")
    _show_after(done)


def remove(
    turns: Turns = None,
    *,
    everything: Everything = False,
    reason: Reason,
    by: By = None,
    backup: Annotated[
        str | None,
        typer.Option("--backup", help="PostgreSQL: where the backup is that you have just made."),
    ] = None,
    yes: Yes = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Delete foreign turns, after a backup and after asking; accepted ones too, where they are named.

    Who removed them, when and why is kept. A check follows, and the alert resolves when it finds nothing
    else. A damaged file is never touched: restore a backup. Exit code 1 when something stays wrong, or the
    answer was no.
    """
    meant = _meant(url, turns or [], everything=everything)
    _show_meant(meant, yes=yes)
    ask(f"\nBack up and delete {_them(meant)}?", yes=yes, unasked="nothing was removed")
    body = _body(meant, turns, reason, by) | {"backup": backup}
    done = post(url, f"{PATH}/remove", PATIENCE, **body)
    typer.echo(f"{counted(done['turns'], 'foreign turn')} removed.")
    console().print(plain(f"Backup: {done['backup']}"), soft_wrap=True)
    _show_after(done)


def _all(url: str) -> list[Any]:
    """In the order in which they stand in their conversations."""
    return sorted(pages(url, PATH), key=lambda one: (one["conversationId"], one["number"]))


def _meant(url: str, turns: Sequence[str], *, everything: bool) -> list[Any]:
    """The turns that are meant. Raises `KokinoError` for none, for names that are none, and for both ways."""
    if bool(turns) == everything:
        raise KokinoError("say which turns: their ids, or --all; `kokino integrity foreign` lists them")
    found = _all(url)
    if everything:
        meant = [one for one in found if one["accepted"] is None]
        if not meant:
            raise KokinoError("there is no foreign turn that nobody accepted")
        return meant
    known = {one["turnId"]: one for one in found}
    if strange := [turn for turn in turns if turn not in known]:
        raise KokinoError(f"no foreign turn: {', '.join(strange)}; `kokino integrity foreign` lists them")
    return [known[turn] for turn in dict.fromkeys(turns)]


def _not_yet(meant: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that nobody accepted; of the others it is said who did."""
    for one in meant:
        if one["accepted"] is not None:
            console().print(plain(f"{one['turnId']} was accepted already by {one['accepted']['by']}."))
    return [one for one in meant if one["accepted"] is None]


def _body(
    meant: Sequence[Mapping[str, Any]], turns: Sequence[str] | None, reason: str, by: str | None
) -> dict[str, Any]:
    which = {"turnIds": [one["turnId"] for one in meant]} if turns else {"all": len(meant)}
    return {**which, "reason": reason, "by": by}


def _show_meant(meant: Sequence[Mapping[str, Any]], *, yes: bool) -> None:
    if yes:
        return
    console().print(_table(meant[:SHOWN]))
    if len(meant) > SHOWN:
        console().print(f"\nThe first {SHOWN} of {len(meant):,}.", style="dim")


def _them(meant: Sequence[Mapping[str, Any]]) -> str:
    return "it" if len(meant) == 1 else f"these {len(meant):,} turns"


def _advise(found: Sequence[Mapping[str, Any]]) -> None:
    left = sum(one["accepted"] is None for one in found)
    if left:
        way = "kokino integrity accept, or remove"
        console().print(f"\n{counted(left, 'turn')} to decide about, by their ids or --all: {way}.")


def _show_after(done: Mapping[str, Any]) -> None:
    if not done["passed"]:
        left = counted(done["check"]["total"], "finding")
        typer.echo(f"{left} left: kokino integrity check shows what is wrong.")
        raise typer.Exit(1)
    console().print(Text("The database is whole.", style="bold green"))


def _table(turns: Sequence[Mapping[str, Any]]) -> Table:
    shown = table()
    shown.add_column("Turn", overflow="fold")
    shown.add_column("Where it stands, and what it says", overflow="fold", ratio=1)
    for turn in turns:
        shown.add_row(plain(turn["turnId"]), _described(turn))
    return shown


def _described(turn: Mapping[str, Any]) -> Text:
    told = Text(
        plain(
            f"the {turn['role']}'s turn {turn['number']} of {turn['conversationId']}, a conversation of"
            f" {turn['agentId']}; {instant(turn['saidAt'])}"
        )
    )
    other = turn["executionAgentId"]
    why = "is not there" if other is None else f"ran for {other}"
    told.append("\n" + plain(f"its execution {turn['executionId']} {why}"), style="yellow")
    told.append("\n" + _quoted(turn), style="dim")
    if (accepted := turn["accepted"]) is not None:
        words = f"accepted by {accepted['by']}, {instant(accepted['at'])}: {accepted['reason']}"
        told.append("\n" + plain(words), style="green")
    return told


def _quoted(turn: Mapping[str, Any]) -> str:
    """How it begins, in one paragraph."""
    said = plain(" ".join(turn["excerpt"].split()))[:SAID]
    return f"“{said}”" if len(said) >= turn["length"] else f"“{said}…” ({turn['length']:,} characters)"
