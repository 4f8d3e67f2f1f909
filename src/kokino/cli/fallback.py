"""``kokino fallback``: take a CLI type or an agent off its own way, and put it back."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from kokino.cli.answers import Format, Written, instant
from kokino.cli.client import DEFAULT_URL, Url, get, post
from kokino.cli.commands import Command, Group
from kokino.cli.terminal import plain

app = typer.Typer(
    cls=Group, help="Send agents round what does not work: to tmux, to another CLI.", no_args_is_help=True
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
    """Show what is disabled, who is sent elsewhere, why, and how the probes go."""
    found = get(url, "/api/fallback/status")
    if format is Format.JSON:
        typer.echo(json.dumps(found, indent=2))
    elif not found["disabledCLIs"] and not found["forcedFallbacks"]:
        typer.echo("Everything runs where it is meant to.")
    else:
        for one in found["disabledCLIs"]:
            target = one["target"] or "each agent's fallback, else tmux"
            typer.echo(_entry(f"CLI type {plain(one['cli'])}", target, one))
        for one in found["forcedFallbacks"]:
            typer.echo(_entry(f"agent {plain(one['agentId'])}", one["target"], one))


@app.command(cls=Command)
def disable(cli_type: CliType, *, reason: Reason, to: To = None, url: Url = DEFAULT_URL) -> None:
    """Send all agents of a CLI type round it, until it is enabled.

    An agent's own fallback goes before --to. Probes ask meanwhile whether it works again.
    """
    post(url, "/api/fallback/cli/disable", cliType=cli_type, reason=reason, target=to)
    typer.echo(f"{plain(cli_type)} is disabled. `kokino fallback enable {plain(cli_type)}` undoes it.")


@app.command(cls=Command)
def enable(cli_type: CliType, *, reason: Reason = "enabled by hand", url: Url = DEFAULT_URL) -> None:
    """Use a CLI type again. Its agents' circuit breakers are closed."""
    post(url, "/api/fallback/cli/enable", cliType=cli_type, reason=reason)
    typer.echo(f"{plain(cli_type)} is enabled.")


@app.command(cls=Command)
def force(agent_id: AgentId, *, reason: Reason, to: To = None, url: Url = DEFAULT_URL) -> None:
    """Send one agent elsewhere, until it is cleared; its CLI type goes on working for the others."""
    found = post(url, "/api/fallback/agent/force", agentId=agent_id, reason=reason, target=to)
    target = next(one["target"] for one in found["forcedFallbacks"] if one["agentId"] == agent_id)
    typer.echo(
        f"{plain(agent_id)} goes to {plain(target)}. `kokino fallback clear {plain(agent_id)}` undoes it."
    )


@app.command(cls=Command)
def clear(agent_id: AgentId, *, reason: Reason = "cleared by hand", url: Url = DEFAULT_URL) -> None:
    """Let an agent run where it is meant to. Its circuit breaker there is closed."""
    post(url, "/api/fallback/agent/clear", agentId=agent_id, reason=reason)
    typer.echo(f"{plain(agent_id)} runs where it is meant to.")


def _entry(what: str, target: str, one: Any) -> str:
    """Two lines: what goes where and how its probes go; why, by whom and since when."""
    probes = one["probes"]
    last = "" if probes["lastOutcome"] is None else f", the last one {plain(probes['lastOutcome'])}"
    return (
        f"{what} -> {plain(target)}  ({probes['good']} of {probes['wanted']} probes good{last})\n"
        f"    {plain(one['reason'])}  ({plain(one['setBy'])}, since {instant(one['since'])})"
    )
