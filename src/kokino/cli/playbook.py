"""``kokino playbook``: what a person at the keyboard needs of a playbook."""

from __future__ import annotations

import os
import shlex
import tempfile
from typing import Annotated

import typer

from kokino.cli.client import DEFAULT_URL, Url, get
from kokino.cli.commands import Command, Group
from kokino.errors import KokinoError

app = typer.Typer(cls=Group, help="Follow playbooks by hand.", no_args_is_help=True)


@app.command("env", cls=Command)
def env(
    incident: Annotated[str, typer.Argument(help="The incident, as the page names it: INC-7.")],
    url: Url = DEFAULT_URL,
) -> None:
    """Print the inputs of an incident's playbook, for eval "$(kokino playbook env INC-7)".

    A broker that demands a token is asked with the one in $KOKINO_TOKEN.
    """
    runs = get(url, f"/api/incidents/{incident}")["playbookRuns"]
    if not runs:
        raise KokinoError(f"no playbook has run for {incident} yet; try again in a moment")
    run = get(url, f"/api/playbook-runs/{runs[-1]}")
    home = get(url, "/api/about")["home"]
    inputs = {
        "KOKINO_URL": url.rstrip("/"),
        "KOKINO_HOME": home,
        "KOKINO_HEADERS": _headers(),
        "ALERT_ID": run["alertId"],
        "INCIDENT_ID": run["incidentId"],
        **run["inputs"],
    }
    for name, value in inputs.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _headers() -> str:
    """A file with the header that carries ``$KOKINO_TOKEN``; an empty one where no token is needed."""
    token = os.environ.get("KOKINO_TOKEN")
    if not token:
        return os.devnull
    # A file, not an argument: an argument list is visible to every user of the machine. It is made 0600.
    with tempfile.NamedTemporaryFile("w", prefix="kokino-headers-", delete=False) as file:
        file.write(f"Authorization: Bearer {token}\n")
    return file.name
