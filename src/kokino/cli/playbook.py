"""``kokino playbook``: what a person at the keyboard needs of a playbook."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from kokino.cli.client import DEFAULT_URL, Url, get
from kokino.errors import KokinoError

app = typer.Typer(help="Follow playbooks by hand.", no_args_is_help=True)


@app.command("env")
def env(
    incident: Annotated[str, typer.Argument(help="The incident, as the page names it: INC-7.")],
    url: Url = DEFAULT_URL,
) -> None:
    """Print the inputs of an incident's playbook, for ``eval "$(kokino playbook env INC-7)"``."""
    runs = get(url, f"/api/incidents/{incident}")["playbookRuns"]
    if not runs:
        raise KokinoError(f"no playbook has run for {incident} yet; try again in a moment")
    run = get(url, f"/api/playbook-runs/{runs[-1]}")
    home = get(url, "/api/about")["home"]
    inputs = {
        "KOKINO_URL": url.rstrip("/"),
        "KOKINO_HOME": home,
        # No token is needed by this user on this machine, and curl reads no header from an empty file.
        "KOKINO_HEADERS": "/dev/null",
        "ALERT_ID": run["alertId"],
        "INCIDENT_ID": run["incidentId"],
        **run["inputs"],
    }
    for name, value in inputs.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
