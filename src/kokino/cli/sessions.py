"""``kokino sessions``: what agents remember, and how it is forgotten."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from kokino.cli.answers import Format, Written
from kokino.cli.asking import ask
from kokino.cli.client import DEFAULT_URL, Url, pages, post
from kokino.cli.commands import Command, Group
from kokino.cli.terminal import ago, console, counted, in_words, plain, table
from kokino.cli.words import parsed_length
from kokino.errors import KokinoError

app = typer.Typer(
    cls=Group, help="Look at the sessions that agents resume, and forget old ones.", no_args_is_help=True
)

#: Sessions asked for at a time: the most that the API gives.
AT_ONCE = 1000
STAYS = "Their conversations stay, and so do the files that their CLIs keep."


Agent = Annotated[str | None, typer.Option("--agent", help="Only this agent's sessions.")]


@app.command("list", cls=Command)
def list_sessions(agent: Agent = None, format: Written = Format.TABLE, url: Url = DEFAULT_URL) -> None:
    """Show the sessions that agents go on with, the longest unused first."""
    found = list(pages(url, "/agents/sessions", limit=AT_ONCE, **_only(agent)))
    found.sort(key=lambda session: session["ageMs"], reverse=True)
    if format is Format.JSON:
        typer.echo(json.dumps(found, indent=2))
    elif not found:
        typer.echo("No agent has a session: each begins one with its next execution.")
    else:
        console().print(_table(found))
        console().print(_summary(found), style="dim")


@app.command("cleanup", cls=Command)
def cleanup(
    *,
    max_age: Annotated[
        str | None,
        typer.Option(
            "--max-age", help="Unused for so long: 12h, 7d. Default: the broker's sessions.max_age."
        ),
    ] = None,
    agent: Agent = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which they are.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    format: Written = Format.TABLE,
    url: Url = DEFAULT_URL,
) -> None:
    """Forget sessions that were not used for a while, after asking.

    The agent's next execution then starts a fresh session. Conversations stay, and the files that its CLI
    keeps are not touched. A session that an execution uses is never forgotten. Exit code 1 when the answer
    was no.
    """
    wanted = {"maxAge": _checked(max_age), **_only(agent)}
    if format is Format.JSON:
        if not (dry_run or yes):
            raise KokinoError("--format json asks nobody: give --yes, or --dry-run to look first")
        typer.echo(json.dumps(_clean(url, wanted, dry_run=dry_run), indent=2))
        return
    found = _clean(url, wanted, dry_run=True)
    _show(found)
    if dry_run:
        typer.echo("Nothing was forgotten: this was a dry run.")
    elif found["removed"]:
        question = f"Forget {'it' if len(found['removed']) == 1 else 'them'}?"
        ask(question, yes=yes, unasked="nothing was forgotten")
        # The age that was shown, also where it was the broker's own.
        done = _clean(url, {**wanted, "maxAge": None, "maxAgeMs": found["maxAgeMs"]}, dry_run=False)
        typer.echo(_told(found["removed"], done))


def _only(agent: str | None) -> dict[str, str]:
    return {} if agent is None else {"agent": agent}


def _checked(max_age: str | None) -> str | None:
    if max_age is not None:
        parsed_length("--max-age", max_age)
    return max_age


def _clean(url: str, wanted: Mapping[str, Any], *, dry_run: bool) -> Any:
    return post(url, "/agents/sessions/cleanup", **wanted, dryRun=dry_run)


def _show(found: Mapping[str, Any]) -> None:
    removed, age = found["removed"], in_words(found["maxAgeMs"])
    if not removed:
        console().print(f"No session has been unused for {age}. {_kept(found)}")
        return
    console().print(_table(removed))
    console().print(f"{counted(len(removed), 'session')} not used for {age}. {_kept(found)}")
    console().print(f"An agent's next execution then starts a fresh session. {STAYS}")


def _kept(found: Mapping[str, Any]) -> str:
    kept = f"{counted(found['kept'], 'session')} kept"
    in_use = found["keptInUse"]
    return f"{kept}, {in_use} of them only because an execution uses it." if in_use else f"{kept}."


def _told(shown: Sequence[Mapping[str, Any]], done: Mapping[str, Any]) -> str:
    """What was done, and how it differs from what was shown a moment ago."""
    before, after = ({(one["agentId"], one["cliType"]) for one in some} for some in (shown, done["removed"]))
    told = f"{counted(len(after), 'session')} forgotten."
    if used := sorted(agent for agent, _ in before - after):
        told += f" Used meanwhile, and so kept: {', '.join(used)}."
    if grown := sorted(agent for agent, _ in after - before):
        told += f" Old enough meanwhile: {', '.join(grown)}."
    return told


def _summary(found: Sequence[Mapping[str, Any]]) -> str:
    in_use = sum(session["inUse"] for session in found)
    return f"{counted(len(found), 'session')}, {in_use} in use."


def _table(found: Sequence[Mapping[str, Any]]) -> Table:
    shown = table()
    shown.add_column("Agent", overflow="fold")
    shown.add_column("CLI type", overflow="fold")
    # The one that gives way where the terminal is narrow: --format json has it whole.
    shown.add_column("Session", overflow="ellipsis", min_width=8, style="dim")
    shown.add_column("Turns", justify="right", no_wrap=True)
    shown.add_column("Last used", no_wrap=True)
    for one in found:
        shown.add_row(
            plain(one["agentId"]),
            plain(one["cliType"]),
            plain(one["sessionId"]),
            f"{one['turns']:,}",
            "in use now" if one["inUse"] else ago(one["ageMs"]),
        )
    return shown
