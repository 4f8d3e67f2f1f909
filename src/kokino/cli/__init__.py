"""``kokino`` on the command line. It speaks to a broker over HTTP; only ``serve`` and ``demo`` start one."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from kokino import __version__
from kokino.cli import (
    alerts,
    attach,
    config,
    demo,
    diff,
    doctor,
    export,
    fallback,
    integrity,
    playbook,
    restart,
    serve,
    sessions,
    shadow,
    slo,
    token,
)
from kokino.cli.commands import Command, Group
from kokino.errors import KokinoError

app = typer.Typer(
    name="kokino",
    cls=Group,
    help="Run AI coding-agent CLIs as a production service.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("serve", cls=Command)(serve.serve)
app.command("restart", cls=Command)(restart.restart)
app.command("doctor", cls=Command)(doctor.doctor)
app.command("demo", cls=Command)(demo.demo)
app.command("diff", cls=Command)(diff.diff)
app.command("attach", cls=Command)(attach.attach)
app.command("token", cls=Command)(token.token)
app.command("init", cls=Command)(config.init)
app.add_typer(alerts.app, name="alerts")
app.add_typer(slo.app, name="slo")
app.add_typer(config.app, name="config")
app.add_typer(export.app, name="export")
app.add_typer(fallback.app, name="fallback")
app.add_typer(playbook.app, name="playbook")
app.add_typer(sessions.app, name="sessions")
app.add_typer(integrity.app, name="integrity")
app.add_typer(shadow.app, name="shadow")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kokino {__version__}")
        raise typer.Exit


@app.callback()
def options(
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and exit.")
    ] = False,
) -> None:
    """Options that stand before a command."""


def main() -> NoReturn:
    """Run a command. What went wrong is said in one message, without a traceback; exit code 1."""
    try:
        app()
    except KokinoError as error:
        typer.echo(f"kokino: {error.message}", err=True)
    sys.exit(1)
