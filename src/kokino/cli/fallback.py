"""``kokino fallback``: take a CLI type or an agent off its own way, and put it back."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from kokino.cli import commands
from kokino.cli.answers import Format, Written, instant
from kokino.cli.client import DEFAULT_URL, Url, get, post
from kokino.cli.commands import Command
from kokino.cli.terminal import console, counted, plain

#: More agents without a way than this are counted, not named.
NAMED = 20

app = typer.Typer(
    cls=commands.Group,
    help="Send agents round what does not work: to tmux, to another CLI.",
    no_args_is_help=True,
)

CliType = Annotated[str, typer.Argument(metavar="CLI_TYPE", help="The CLI type.")]
AgentId = Annotated[str, typer.Argument(metavar="AGENT", help="The agent's id.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for those who wonder.")]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        help="tmux, park or a CLI type. Default: the agent's own fallback, else tmux where that is no guess.",
    ),
]


@app.command(cls=Command)
def status(*, format: Written = Format.TABLE, url: Url = DEFAULT_URL) -> None:
    """Show what is disabled, who is sent elsewhere, why, how the probes go, and what is paused."""
    found = get(url, "/api/fallback/status")
    if format is Format.JSON:
        typer.echo(json.dumps(found, indent=2))
    elif not any(found.values()):
        typer.echo("Everything runs where it is meant to.")
    else:
        for one in found["disabledCLIs"]:
            target = one["target"] or "each agent's fallback, else tmux"
            undo = f"kokino fallback enable {one['cli']}"
            console().print(_entry(f"CLI type {one['cli']}", target, one, undo))
        for one in found["forcedFallbacks"]:
            undo = f"kokino fallback clear {one['agentId']}"
            console().print(_entry(f"agent {one['agentId']}", one["target"], one, undo))
        _warn_of(found.get("stranded", []))
        for one in found["pauses"]:
            console().print(_paused(one))


@app.command(cls=Command)
def disable(cli_type: CliType, *, reason: Reason, to: To = None, url: Url = DEFAULT_URL) -> None:
    """Send all agents of a CLI type round it, until it is enabled.

    An agent's own fallback goes before --to. Probes ask meanwhile whether it works again.
    """
    before = get(url, "/api/fallback/status")["disabledCLIs"]
    found = post(url, "/api/fallback/cli/disable", cliType=cli_type, reason=reason, target=to)
    for one in (one for one in before if one["cli"] == cli_type):
        was = f"{one['setBy']} since {instant(one['since'])}: {one['reason']}"
        typer.echo(f"It was disabled already, by {plain(was)}. Now your reason and target stand.")
    typer.echo(f"{plain(cli_type)} is disabled. `kokino fallback enable {plain(cli_type)}` undoes it.")
    _warn_of(found.get("stranded", []))


@app.command(cls=Command)
def enable(cli_type: CliType, *, reason: Reason = "enabled by hand", url: Url = DEFAULT_URL) -> None:
    """Use a CLI type again. Its agents' circuit breakers are closed."""
    post(url, "/api/fallback/cli/enable", cliType=cli_type, reason=reason)
    typer.echo(f"{plain(cli_type)} is enabled.")


@app.command(cls=Command)
def force(agent_id: AgentId, *, reason: Reason, to: To = None, url: Url = DEFAULT_URL) -> None:
    """Send one agent elsewhere, until it is cleared; its CLI type goes on working for the others."""
    found = post(url, "/api/fallback/agent/force", agentId=agent_id, reason=reason, target=to)
    # Somebody may have cleared it meanwhile.
    target = next((one["target"] for one in found["forcedFallbacks"] if one["agentId"] == agent_id), to)
    undo = f"`kokino fallback clear {plain(agent_id)}` undoes it."
    typer.echo(f"{plain(agent_id)} goes to {plain(target or 'its fallback')}. {undo}")


@app.command(cls=Command)
def clear(agent_id: AgentId, *, reason: Reason = "cleared by hand", url: Url = DEFAULT_URL) -> None:
    """Let an agent run where it is meant to. Its circuit breaker there is closed."""
    post(url, "/api/fallback/agent/clear", agentId=agent_id, reason=reason)
    typer.echo(f"{plain(agent_id)} runs where it is meant to.")


def _warn_of(stranded: list[Any]) -> None:
    """Name the agents that are left without a way, with what gives each another one.

    A broker of an earlier version names none.
    """
    if not stranded:
        return
    lines = [f"{one['agentId']}: {one['reason']}" for one in stranded[:NAMED]]
    more = [f"and {counted(len(stranded) - NAMED, 'more agent')}"] if len(stranded) > NAMED else []
    mend = f"`kokino fallback force {stranded[0]['agentId']} --to TARGET --reason WHY` gives one another way"
    title = f"Warning: {counted(len(stranded), 'agent')} without a way; prompts are refused"
    console().print(_block(title, *lines, *more, f"{mend}: tmux, park or another CLI type."))


def _entry(what: str, target: str, one: Any, undo: str) -> Group:
    """What goes where; why; by whom, since when, and how its probes go."""
    by = f"by {one['setBy']} since {instant(one['since'])}"
    return _block(f"{what} -> {target}", one["reason"], by, _probed(one["probes"], undo))


def _paused(one: Any) -> Group:
    """What waits; why; by whom, since when, and for how long."""
    what = "everything" if one["scope"] == "all" else f"{one['scope']} {one['id']}"
    ends = "until POST /api/resume" if one["endsAt"] is None else f"until {instant(one['endsAt'])}"
    return _block(
        f"{what} is paused", one["reason"], f"by {one['setBy']} since {instant(one['since'])}", ends
    )


def _block(title: str, *lines: str) -> Group:
    return Group(
        Text(plain(title), style="bold"),
        *(Padding(Text(plain(line)), (0, 0, 0, 2), expand=False) for line in lines),
    )


def _probed(probes: Any, undo: str) -> str:
    """What probes have found, and what is to be done where they found enough."""
    good, wanted, last = probes["good"], probes["wanted"], probes["lastOutcome"]
    if good >= wanted:
        return f"the last {counted(good, 'probe')} found it well: `{undo}` ends this"
    if last is None:
        return "not probed yet" if probes["dueAt"] is None else f"first probed at {instant(probes['dueAt'])}"
    return f"{good} of {wanted} good probes in a row, the last one {last}"
